#include "decode.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cached_strategy.h"
#include "errors.h"
#include "tree_strategy.h"

namespace makemore {
namespace {

/// Whether to follow the cached strategy; the caches are then open.
bool use_caches(std::span<Worker* const> workers, const DecodeRequest& request) {
  if (request.strategy == Strategy::kTree) return false;
  const bool required = request.strategy == Strategy::kCached;
  if (request.needs_logits()) {
    if (required)
      throw OptionError("strategy is 'cached'; logits are processed or recorded by 'tree' only");
    return false;
  }
  const bool can_save = std::ranges::all_of(
      workers, [](const Worker* worker) { return worker->snapshot_step != nullptr; });
  if (required && !can_save) {
    throw OptionError("strategy is 'cached'; these steps cannot save the states of their rows");
  }
  const bool wanted = required || (can_save && cache_pays(workers, request));
  const bool open = wanted && open_caches(workers);
  if (required && !open) throw OptionError("strategy is 'cached'; there is no memory for a cache");
  return open;
}

}  // namespace

void decode(std::span<Worker* const> workers, const DecodeRequest& request, Output& output,
            const Interrupts& interrupts) {
  if (workers.empty()) throw OptionError("decode needs at least one step");
  std::vector<StepLock> locks;
  locks.reserve(workers.size());
  for (const Worker* worker : workers) locks.emplace_back(worker->step);
  validate(request, workers.front()->step.vocab_size());
  const bool cached = use_caches(workers, request);
  if (request.rows == 0) return;
  CallCancellation cancellation(interrupts);
  (cached ? decode_cached : decode_tree)(workers, request, cancellation, output);
  for (const Worker* worker : workers) {
    if (worker->snapshot_step == nullptr) continue;
    worker->budget->set_called();
    worker->step.reset(0);
  }
}

Decoded decode(std::span<Worker* const> workers, const DecodeRequest& request,
               const Interrupts& interrupts) {
  RowOrder order(request);
  decode(workers, request, order, interrupts);
  return std::move(order.decoded());
}

}  // namespace makemore
