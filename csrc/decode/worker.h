#pragma once

#include <optional>

#include "prefix_cache.h"
#include "snapshot_step.h"

namespace makemore {

/// A step, and the prefixes that it has computed if it can save states. Used by one decode at a
/// time.
class Worker {
 public:
  explicit Worker(Step& step) : step(step) {}
  explicit Worker(SnapshotStep& step)
      : step(step), snapshot_step(&step), cache(std::in_place, step) {}

  Step& step;
  SnapshotStep* snapshot_step = nullptr;  // the same step; null where it cannot save states
  std::optional<PrefixCache> cache;       // of a snapshot step
};

}  // namespace makemore
