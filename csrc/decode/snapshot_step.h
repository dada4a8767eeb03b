#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "state_snapshot.h"
#include "step.h"

namespace makemore {

/// The result of the first step, which is fed token 0 and so the same for every string.
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
