#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "aligned_buffer.h"

namespace makemore {

struct SnapshotNode;

/// The state of a row: what its last step has written, and so on back to the first. Rows that began
/// alike share what they have in common. Null is the state of a start.
using StateSnapshot = std::shared_ptr<const SnapshotNode>;

struct SnapshotNode {
  SnapshotNode(StateSnapshot before, std::int64_t steps, AlignedBuffer buffer)
      : before(std::move(before)), steps(steps), buffer(std::move(buffer)) {}

  StateSnapshot before;  // null, too, where `lines` are the whole state
  std::int64_t steps;    // how many the row has gone
  AlignedBuffer buffer;
};

/// What a step says after token 0, with which every string starts, and the state it is in then.
struct Start {
  std::vector<float> logits;  // (V,)
  StateSnapshot state;
};

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

  /// Whether states can be had and given back, also to another step of the same model.
  virtual bool can_save() const { return false; }

  /// Whether there is no state at all: what comes next hangs on the last token and its position.
  virtual bool is_stateless() const { return false; }

  /// Bytes that a step adds to what is saved of a row.
  virtual std::size_t state_bytes() const { return 0; }

  /// The state of a row.
  virtual StateSnapshot save([[maybe_unused]] std::int64_t row) { return {}; }

  /// Gives row i the state `states[i]`, or leaves it in its own where there is nothing; there may
  /// be fewer or more rows than before.
  virtual void restore([[maybe_unused]] std::span<const std::optional<StateSnapshot>> states) {}

  /// The first step of all rows, of a step that can save. It leaves the rows as they may be.
  virtual std::shared_ptr<const Start> start();

 protected:
  // Each throws OptionError.
  static void require_rows(std::int64_t rows);
  static void require_fit(std::int64_t rows, std::span<const std::int64_t> tokens,
                          std::span<const std::int64_t> positions);
  static void require_parents(std::int64_t rows, std::span<const std::int64_t> parents);
};

}  // namespace makemore
