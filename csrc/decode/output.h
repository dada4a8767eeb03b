#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "memory_block.h"
#include "rules.h"

namespace makemore {

/// Sequences that have finished.
struct FinishedSequences {
  struct Sequence {
    std::int64_t row;   // number within the request
    std::size_t begin;  // in `tokens`
    std::size_t length;
    double log_prob;  // under the model itself, in nats
    FinishReason reason;
  };

  LargeVector<std::int32_t> tokens;  // equal sequences may share theirs
  LargeVector<Sequence> sequences;
};

/// Calls a function with 0 to `count` - 1, on one thread or several.
using ForEach = std::function<void(std::size_t count, const std::function<void(std::size_t)>&)>;

/// What takes the sequences of a call that pass, on the thread of the call.
class Output {
 public:
  virtual ~Output() = default;

  /// Some that have finished, in any order, while other threads go on.
  virtual void take(FinishedSequences&& finished) = 0;

  /// All of `count` rows from row `first` on were taken, and no other since the last such call.
  /// `for_each` divides work among the threads of the call.
  virtual void end_rows(std::int64_t first, std::size_t count, const ForEach& for_each) = 0;
};

}  // namespace makemore
