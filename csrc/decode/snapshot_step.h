#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "aligned_buffer.h"
#include "step.h"

namespace makemore {

struct SnapshotNode;

/// The saved state of a row: what its last step wrote, linked to what the steps before it wrote.
/// Rows that begin with the same tokens share the nodes of those tokens. Null is the zero state.
using StateSnapshot = std::shared_ptr<const SnapshotNode>;

struct SnapshotNode {
  SnapshotNode(StateSnapshot before, std::int64_t steps, AlignedBuffer buffer)
      : before(std::move(before)), steps(steps), buffer(std::move(buffer)) {}

  StateSnapshot before;  // null where `buffer` holds the whole state
  std::int64_t steps;    // that the row has taken
  AlignedBuffer buffer;
};

/// The result of the first step, which is the same for every string: it is fed token 0.
struct FirstStep {
  std::vector<float> logits;  // (V,)
  StateSnapshot state;        // after it
};

/// A step whose row states can be saved, and restored in any row of any step of the same model.
class SnapshotStep : public Step {
 public:
  /// The state of a row.
  virtual StateSnapshot save(std::int64_t row) = 0;

  /// Row i gets `states[i]`, or keeps the state that it has where there is none; there may be fewer
  /// or more rows than before.
  virtual void restore(std::span<const std::optional<StateSnapshot>> states) = 0;

  /// Bytes that one more step adds to the saved state of a row; 0 where the model has no state, so
  /// that its logits depend on the last token and its position only.
  virtual std::size_t snapshot_bytes() const = 0;

  /// The first step of every string. The rows of this step are undefined afterwards.
  virtual std::shared_ptr<const FirstStep> first_step() = 0;

  bool is_stateless() const { return snapshot_bytes() == 0; }
};

/// What `first_step` returns, computed.
FirstStep run_first_step(SnapshotStep& step);

}  // namespace makemore
