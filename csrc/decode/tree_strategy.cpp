#include "tree_strategy.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "parallel_for.h"
#include "prefix_tree_decoder.h"

namespace makemore {
namespace {

using Rows = std::vector<std::int64_t>;

/// Rows of one tree: many, so that they share prefixes, but little memory beside their strings.
constexpr std::int64_t kTreeRows = std::int64_t{1} << 18;

/// Parts of a tree for each worker, so that none waits long for the last one; and, of the groups
/// that they are made of, how many times as large the share of a worker is.
constexpr std::size_t kPartsPerWorker = 16, kGroupsPerWorker = 4;

/// Rows for which it pays that all workers begin.
constexpr std::size_t kManyRows = 1 << 15;

/// Tokens at most, after which trees are divided into parts.
constexpr std::int64_t kMaxFirstTokens = 4;

std::size_t divide_up(std::size_t a, std::size_t b) { return a / b + (a % b > 0 ? 1 : 0); }

bool run(PrefixTreeDecoder& tree, Worker& worker, std::size_t max_groups,
         CallCancellation& cancellation) {
  return worker.snapshot_step != nullptr ? tree.run(*worker.snapshot_step, max_groups, cancellation)
                                         : tree.run(worker.step, max_groups, cancellation);
}

/// The rows again from their start, as many together as one step can hold; similar rows together.
std::vector<PrefixTreeDecoder> restart(const PrefixTreeDecoder& tree, const DecodeRequest& request,
                                       std::int64_t vocab_size, std::size_t rows_together) {
  const Rows rows = tree.rows();
  std::vector<PrefixTreeDecoder> parts;
  for (std::size_t begin = 0; begin < rows.size(); begin += rows_together) {
    const std::size_t count = std::min(rows_together, rows.size() - begin);
    parts.emplace_back(request, vocab_size, std::span(rows).subspan(begin, count));
  }
  return parts;
}

using Take = std::function<void(FinishedSequences&&)>;

/// Begins a tree until no group is large; of many rows one for each worker, of its share of them,
/// which share a few prefixes by then. Returns parts of all trees: rows with a common prefix go on
/// in one of them.
std::vector<PrefixTreeDecoder> begin(std::span<Worker* const> workers, const DecodeRequest& request,
                                     const Rows& rows, CallCancellation& cancellation,
                                     const Take& take) {
  const std::int64_t vocab_size = workers.front()->step.vocab_size();
  const std::size_t count = rows.size() < kManyRows ? 1 : workers.size();
  const std::size_t share = divide_up(rows.size(), count);
  std::vector<PrefixTreeDecoder> trees;
  for (std::size_t first = 0; first < rows.size(); first += share) {
    const auto of_worker = std::span(rows).subspan(first, std::min(share, rows.size() - first));
    trees.emplace_back(request, vocab_size, of_worker);
  }
  const std::size_t enough = share / (kGroupsPerWorker * workers.size());
  const std::int64_t forced =
      request.prompts.offsets.empty() ? std::ssize(request.prompts.tokens) : 0;
  std::size_t largest = share;
  for (std::int64_t i = 1; i <= kMaxFirstTokens && largest > enough; ++i) {
    parallel_for(
        workers, trees.size(), cancellation,
        [&](Worker& worker, std::size_t tree) {
          trees[tree].run_to(*worker.snapshot_step, forced + i, cancellation);
        },
        [](std::size_t) {});
    largest = 0;
    for (const auto& tree : trees) largest = std::max(largest, tree.largest_waiting());
  }
  for (auto& tree : trees) take(std::move(tree.finished()));
  return PrefixTreeDecoder::merge(trees, kPartsPerWorker * workers.size());
}

/// Decodes rows as one tree, in parts that workers take. A step without snapshots cannot hand over
/// a state: the first worker decodes until there are too many groups, and the rows begin again in
/// the parts.
void decode_rows(std::span<Worker* const> workers, const DecodeRequest& request, const Rows& rows,
                 CallCancellation& cancellation, const Take& take) {
  Worker& first = *workers.front();
  const bool snapshots = first.snapshot_step != nullptr;
  std::vector<PrefixTreeDecoder> parts;
  if (snapshots && workers.size() > 1) {
    parts = begin(workers, request, rows, cancellation, take);
  } else {
    const std::int64_t vocab_size = first.step.vocab_size();
    const std::size_t enough_groups = snapshots
                                          ? PrefixTreeDecoder::kUnlimited
                                          : std::min(divide_up(rows.size(), workers.size()),
                                                     static_cast<std::size_t>(request.batch_size));
    PrefixTreeDecoder tree(request, vocab_size, rows);
    if (run(tree, first, enough_groups, cancellation)) return take(std::move(tree.finished()));
    parts = restart(tree, request, vocab_size, enough_groups);
  }
  parallel_for(
      workers, parts.size(), cancellation,
      [&](Worker& worker, std::size_t i) {
        run(parts[i], worker, PrefixTreeDecoder::kUnlimited, cancellation);
      },
      [&](std::size_t i) { take(std::move(parts[i].finished())); });
}

}  // namespace

void decode_tree(std::span<Worker* const> workers, const DecodeRequest& request,
                 CallCancellation& cancellation, Output& output) {
  for (std::int64_t begin = 0; begin < request.rows; begin += kTreeRows) {
    Rows rows(static_cast<std::size_t>(std::min(kTreeRows, request.rows - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    decode_rows(workers, request, rows, cancellation,
                [&](FinishedSequences&& finished) { output.take(std::move(finished)); });
    output.end_rows(begin, rows.size(), for_each_of(workers, rows.size(), cancellation));
  }
}

std::vector<FinishedSequences> decode_tree_row(Worker& worker, const DecodeRequest& request,
                                               std::int64_t row, CallCancellation& cancellation) {
  std::vector<FinishedSequences> all;
  decode_rows(std::array{&worker}, request, {row}, cancellation,
              [&](FinishedSequences&& finished) { all.push_back(std::move(finished)); });
  return all;
}

}  // namespace makemore
