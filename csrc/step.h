#pragma once

#include <cstdint>
#include <span>

namespace makemore {

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
};

}  // namespace makemore
