#include "cached_strategy.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "cached_decoder.h"
#include "parallel_for.h"
#include "tree_strategy.h"

namespace makemore {
namespace {

/// More rows than this share more with each other and with the common prefixes than with those of
/// earlier calls; of cheap steps there are few common prefixes. With more rows of steps that only
/// read tables, a tree is as fast as a cache.
constexpr std::int64_t kMaxRows = 2'048, kMaxCheapRows = 4'096, kMaxLookupRows = 16;

std::int64_t max_rows(const SnapshotStep& step) {
  if (step.is_stateless()) return std::numeric_limits<std::int64_t>::max();
  if (step.is_lookup()) return kMaxLookupRows;
  return step.is_cheap() ? kMaxCheapRows : kMaxRows;
}

/// More rows than this do not open a cache at a first call: a tree is faster than an empty cache,
/// and there may be no second call.
constexpr std::int64_t kMaxFirstRows = 16;

/// Rows decoded together over the cache of a model without state: few, so that they stay in the
/// processor's cache.
constexpr std::int64_t kMaxStatelessRows = 1'024;

/// Ranges of rows for each worker, so that none waits long for the last one; and rows at least for
/// which threads are started.
constexpr std::int64_t kRangesPerWorker = 4, kMinWaveRows = 1 << 18;

/// Appends the sequences of `count` rows from row `first` on: of half of them at a time where the
/// cache has no room for all, and without it where it has none for one.
void decode_range(Worker& worker, const DecodeRequest& request, std::int64_t first,
                  std::int64_t count, CallCancellation& cancellation,
                  std::vector<FinishedSequences>& out) {
  CachedDecoder decoder(*worker.cache, request, first, count);
  if (decoder.run(cancellation)) {
    out.push_back(decoder.finished());
  } else if (count == 1) {
    for (FinishedSequences& each : decode_tree_row(worker, request, first, cancellation)) {
      out.push_back(std::move(each));
    }
  } else {
    decode_range(worker, request, first, count / 2, cancellation, out);
    decode_range(worker, request, first + count / 2, count - count / 2, cancellation, out);
  }
}

}  // namespace

bool cache_pays(std::span<Worker* const> workers, const DecodeRequest& request) {
  const Worker& worker = *workers.front();
  const bool is_stateless = worker.snapshot_step->is_stateless();
  if (request.rows > max_rows(*worker.snapshot_step)) return false;
  if (!is_stateless && request.rows > kMaxFirstRows && !worker.budget->was_called()) {
    return false;
  }
  const auto rows = static_cast<std::size_t>((request.rows - 1) / std::ssize(workers) + 1);
  const std::size_t prefixes =
      is_stateless ? static_cast<std::size_t>(worker.step.vocab_size()) : rows;
  const auto missing = static_cast<std::size_t>(
      std::ranges::count_if(workers, [](const Worker* each) { return !each->cache; }));
  return prefixes * PrefixCache::node_bytes(*worker.snapshot_step) <=
         worker.budget->share_bytes(missing) / 4;
}

bool open_caches(std::span<Worker* const> workers) {
  return std::ranges::all_of(workers, [](Worker* worker) { return worker->open_cache(); });
}

void decode_cached(std::span<Worker* const> workers, const DecodeRequest& request,
                   CallCancellation& cancellation, Output& output) {
  const bool is_stateless = workers.front()->snapshot_step->is_stateless();
  const std::int64_t size = std::min((request.rows - 1) / std::ssize(workers) + 1,
                                     is_stateless ? kMaxStatelessRows : kMaxCheapRows);
  const std::int64_t ranges_at_once =
      std::max(std::ssize(workers) * kRangesPerWorker, kMinWaveRows / size);
  const std::int64_t wave = size * ranges_at_once;
  std::vector<std::vector<FinishedSequences>> ranges;
  for (std::int64_t begin = 0; begin < request.rows; begin += wave) {
    const std::int64_t rows = std::min(wave, request.rows - begin);
    ranges.assign(static_cast<std::size_t>((rows - 1) / size + 1), {});
    parallel_for(
        workers, ranges.size(), cancellation,
        [&](std::size_t worker, std::size_t i) {
          const std::int64_t first = static_cast<std::int64_t>(i) * size;
          decode_range(*workers[worker], request, begin + first, std::min(size, rows - first),
                       cancellation, ranges[i]);
        },
        [&](std::size_t i) {
          for (FinishedSequences& each : ranges[i]) output.take(std::move(each));
        });
    const auto count = static_cast<std::size_t>(rows);
    output.end_rows(begin, count, for_each_of(workers, count, cancellation));
  }
}

}  // namespace makemore
