#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "memory_block.h"
#include "rules.h"

namespace makemore {

/// The n strings that pass, as token ids, without start and stop, laid end to end in row order.
struct Decoded {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> rows;      ///< (n,) numbers within the request
  std::vector<std::int64_t> lengths;   ///< (n,)
  std::vector<double> log_probs;       ///< (n,) of each string under the model itself, in nats
  std::vector<std::uint8_t> finished;  ///< (n,) 1: the stop token came, 0: cut at max_length

  /// Makes room for so many more strings and tokens, and for as many as there are.
  void reserve(std::size_t strings, std::size_t tokens);

  /// Appends the string of a later row.
  void append(std::int64_t row, std::span<const std::int32_t> string, double log_prob,
              FinishReason reason);

  /// Appends all of it but its tokens.
  void append(std::int64_t row, std::int64_t length, double log_prob, FinishReason reason);

  /// Appends the strings of later rows. Of `all_rows` rows in all, as large a share passes as of
  /// these, more or less: the first call makes room for so many.
  void append(const Decoded& more, std::size_t all_rows);

  void clear();
};

/// Sequences in the order in which they finish.
struct FinishedSequences {
  struct Sequence {
    std::int64_t row;
    std::size_t begin;  // in `tokens`
    std::size_t length;
    double log_prob;
    FinishReason reason;
  };

  LargeVector<std::int32_t> tokens;  // equal sequences may share theirs
  LargeVector<Sequence> sequences;
};

/// Calls a function with 0 to `count` - 1, on one thread or several.
using ForEach = std::function<void(std::size_t count, const std::function<void(std::size_t)>&)>;

/// Appends the sequences of all parts, which are among `count` rows of a request from row `first`
/// on; `for_each` divides the work by part. Throws OptionError where `out` would hold more tokens
/// than the request allows.
void append_in_row_order(Decoded& out, const DecodeRequest& request, std::int64_t first,
                         std::size_t count, std::span<const FinishedSequences> parts,
                         const ForEach& for_each);

}  // namespace makemore
