#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace makemore {

/// Which strings pass: a deterministic automaton that reads a string token by token. Its state is a
/// function of the prefix, so that all rows with a prefix share it, and are dropped together once
/// no string that passes begins with that prefix. It never changes a distribution: a row passes or
/// it does not. Immutable, so that threads may share it.
class RowFilter {
 public:
  using State = std::int32_t;

  /// No string passes any more.
  static constexpr State kDead = -1;

  /// transitions: (S, V) the state after each token, or kDead; the stop token's is not read.
  /// accepting: (S,) whether a string passes that ends there. State 0 is that of the empty prefix.
  /// Throws OptionError for tables that are not so.
  RowFilter(std::vector<State> transitions, std::vector<std::uint8_t> accepting,
            std::int64_t vocab_size);

  std::int64_t vocab_size() const { return static_cast<std::int64_t>(vocab_size_); }

  State start() const { return 0; }

  /// The state after one more token. The stop token adds nothing to a string.
  State next(State state, std::int64_t token) const {
    if (state == kDead || token == 0) return state;
    return transitions_[static_cast<std::size_t>(state) * vocab_size_ +
                        static_cast<std::size_t>(token)];
  }

  /// Whether a string passes that ends in `state`.
  bool accepts(State state) const { return state != kDead && fewest_more(state) == 0; }

  /// Whether a string passes that goes on from `state` for `most` tokens or fewer.
  bool can_pass(State state, std::int64_t most) const {
    return state != kDead && fewest_more(state) <= most;
  }

 private:
  std::int64_t fewest_more(State state) const {
    return fewest_more_[static_cast<std::size_t>(state)];
  }

  std::size_t vocab_size_;
  std::vector<State> transitions_;         // (S, V)
  std::vector<std::int64_t> fewest_more_;  // (S,) tokens to the nearest accepting state
};

}  // namespace makemore
