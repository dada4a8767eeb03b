#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "cache_budget.h"
#include "prefix_cache.h"
#include "snapshot_step.h"

namespace makemore {

/// A step, and the prefixes that it has computed. Used by one decode at a time.
class Worker {
 public:
  explicit Worker(Step& step) : step(step) {}

  /// The step can save states, so that a cache is possible, in a share of the budget.
  Worker(SnapshotStep& step, std::shared_ptr<CacheBudget> budget)
      : step(step), snapshot_step(&step), budget(std::move(budget)) {}

  /// Makes the cache, unless there is one. False where the budget has no share for it.
  bool open_cache() {
    if (cache) return true;
    auto share = CacheBudget::take_share(budget);
    if (share) cache.emplace(*snapshot_step, *std::move(share));
    return cache.has_value();
  }

  /// Frees the cache. A later one is in a share of that budget.
  void clear_cache(std::shared_ptr<CacheBudget> next) {
    cache.reset();
    budget = std::move(next);
  }

  Step& step;
  SnapshotStep* snapshot_step = nullptr;  // the same step; null where it cannot save states
  std::shared_ptr<CacheBudget> budget;    // of a snapshot step
  std::optional<PrefixCache> cache;
};

}  // namespace makemore
