#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common_prefixes.h"
#include "state_snapshot.h"
#include "step.h"

namespace makemore {

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

  /// The prefixes that strings begin with most often, computed once for all steps of a model,
  /// within the limits of the first call. The rows of this step are undefined afterwards.
  virtual std::shared_ptr<const CommonPrefixes> common_prefixes(
      const CommonPrefixes::Limits& limits) = 0;

  /// Whether a step only reads tables, so that reading a cache of what it gave is no faster.
  virtual bool is_lookup() const { return false; }

  bool is_stateless() const { return snapshot_bytes() == 0; }
};

}  // namespace makemore
