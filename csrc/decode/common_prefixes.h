#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "state_snapshot.h"

namespace makemore {

class SnapshotStep;

/// The prefixes that strings begin with most often, and the logits and the state after each.
/// Immutable, so that all steps of a model, and their threads, may share them.
class CommonPrefixes {
 public:
  using Id = std::int32_t;
  static constexpr Id kEmpty = 0, kNone = -1;

  /// How much to compute. Of the default there is only the empty prefix.
  struct Limits {
    std::size_t bytes = 0;                ///< of memory
    std::int64_t length = 0;              ///< tokens of a prefix
    std::chrono::microseconds time = {};  ///< no step begins later than this
  };

  /// The likeliest prefixes of the model's own distribution. Throws what the first step throws;
  /// where a later one fails there are no more prefixes. The step's rows are undefined afterwards.
  CommonPrefixes(SnapshotStep& step, const Limits& limits);

  std::size_t size() const { return states_.size(); }

  /// A prefix with one more token; kNone where it is not among these.
  Id child(Id prefix, std::int64_t token) const {
    return children_[index(prefix) * vocab_size_ + static_cast<std::size_t>(token)];
  }

  /// (V,)
  std::span<const float> logits(Id prefix) const {
    return std::span(logits_).subspan(index(prefix) * vocab_size_, vocab_size_);
  }

  const StateSnapshot& state(Id prefix) const { return states_[index(prefix)]; }

 private:
  class Search;

  static std::size_t index(Id id) { return static_cast<std::size_t>(id); }

  std::size_t vocab_size_;
  std::vector<float> logits_;          // (prefixes, V)
  std::vector<Id> children_;           // (prefixes, V)
  std::vector<StateSnapshot> states_;  // (prefixes,)
};

}  // namespace makemore
