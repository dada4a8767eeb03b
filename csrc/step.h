#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace makemore {

/// What a step has changed in the state of one row, copied out of it.
using State = std::vector<std::byte>;

/// The states of a row's steps, from the first on.
using History = std::vector<const State*>;

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

  /// Bytes that are saved of a row.
  virtual std::size_t state_bytes() const { return 0; }

  /// Copies to `state` what the last step has changed in a row.
  virtual void save([[maybe_unused]] std::int64_t row, [[maybe_unused]] State& state) const {}

  /// Makes row i what it was when the last state of rows[i] was saved, that of a start where there
  /// is none; nothing leaves the row as it is. There may be fewer or more rows than before.
  virtual void restore([[maybe_unused]] std::span<const std::optional<History>> rows) {}
};

}  // namespace makemore
