#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace makemore {

/// What one row of a step remembers, copied out of it; empty at the start of a string.
using State = std::vector<std::byte>;

/// One step of a model that is a state machine, for a batch of rows:
/// (token, position, state) -> (logits, next state). The decode loop knows no more of a model.
class Step {
 public:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  /// V, the number of logits a row.
  virtual std::int64_t vocab_size() const = 0;

  /// Starts `rows` fresh rows with zero state.
  virtual void reset(std::int64_t rows) = 0;

  /// Feeds each row its token at its position, both (B,), and advances the state. Returns the
  /// logits (B, V) of what comes next, valid until the next call.
  virtual std::span<const float> run(std::span<const std::int64_t> tokens,
                                     std::span<const std::int64_t> positions) = 0;

  /// Makes row i of the state what row parents[i] was; there may be fewer or more rows than
  /// before. A parent either keeps its own place, parents[p] == p, or lies past the new end: rows
  /// can then be copied in place, in any order.
  virtual void select(std::span<const std::int64_t> parents) = 0;

  /// Whether rows can be saved and restored.
  virtual bool can_save() const { return false; }

  /// Whether there is no state at all: what comes next hangs on the last token and its position.
  virtual bool is_stateless() const { return false; }

  /// Most bytes of a saved row.
  virtual std::size_t state_bytes() const { return 0; }

  /// Copies the state of a row to `state`.
  virtual void save([[maybe_unused]] std::int64_t row, [[maybe_unused]] State& state) const {}

  /// Makes row i of the state what states[i] was saved from; null leaves the row as it is. There
  /// may be fewer or more rows than before.
  virtual void restore([[maybe_unused]] std::span<const State* const> states) {}
};

}  // namespace makemore
