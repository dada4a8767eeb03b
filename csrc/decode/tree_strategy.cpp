#include "tree_strategy.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "parallel_for.h"
#include "prefix_tree_decoder.h"

namespace makemore {
namespace {

/// Rows of a request, from `begin` on. Not a view: clang 14 does not compile those of libstdc++ 12.
struct Rows {
  std::int64_t begin, end;
  std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

/// Rows of one tree: many, so that they share prefixes, but little memory beside their strings.
constexpr std::int64_t kTreeRows = std::int64_t{1} << 18;

/// A part of a tree has one in so many of a worker's share of the rows that are left, and the last
/// ones so many rows, so that no worker waits long for another at the end: Polychronopoulos and
/// Kuck (1987), Guided Self-Scheduling.
constexpr std::size_t kPartsPerWorker = 16, kMinPartRows = 64;

/// How many times as large the share of a worker is as a group that parts are made of, and as what
/// it has at once.
constexpr std::size_t kGroupsPerWorker = 4, kPiecesPerWorker = 4;

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
  const std::vector<std::int64_t> rows = tree.rows();
  std::vector<PrefixTreeDecoder> parts;
  for (std::size_t begin = 0; begin < rows.size(); begin += rows_together) {
    const std::size_t count = std::min(rows_together, rows.size() - begin);
    parts.emplace_back(request, vocab_size).start(std::span(rows).subspan(begin, count));
  }
  return parts;
}

using Take = std::function<void(FinishedSequences&&)>;

/// Begins a tree until no group is large; of many rows one for each worker, of its share of them,
/// which share a few prefixes by then. Adds these to `trees`, and returns parts of all of them:
/// rows with a common prefix go on in one of them.
std::vector<PrefixTreeDecoder::Part> begin(std::span<Worker* const> workers,
                                           const DecodeRequest& request, const Rows& rows,
                                           CallCancellation& cancellation, const Take& take,
                                           std::vector<PrefixTreeDecoder>& trees) {
  const std::size_t count = rows.size() < kManyRows ? 1 : workers.size();
  const std::size_t share = divide_up(rows.size(), count);
  const std::size_t enough = share / (kGroupsPerWorker * workers.size());
  const std::int64_t forced =
      request.prompts.offsets.empty() ? std::ssize(request.prompts.tokens) : 0;
  for (std::size_t i = 0; i < count; ++i) {
    trees.emplace_back(request, workers.front()->step.vocab_size());
  }
  std::vector<std::int64_t> tokens(count);  // of each tree, so far
  const auto run_to = [&](std::size_t worker, std::size_t i, std::int64_t end) {
    tokens[i] = end;
    trees[i].run_to(*workers[worker]->snapshot_step, forced + end, cancellation);
  };
  parallel_for(workers, count, cancellation, [&](std::size_t worker, std::size_t i) {
    const auto row = [&](std::size_t place) {
      return rows.begin + static_cast<std::int64_t>(std::min(place, rows.size()));
    };
    trees[i].start(row(i * share), row((i + 1) * share));
    do {
      run_to(worker, i, tokens[i] + 1);
    } while (tokens[i] < kMaxFirstTokens && trees[i].largest_waiting() > enough);
  });
  const auto ends = std::ranges::minmax(tokens);
  if (ends.min < ends.max) {
    parallel_for(workers, count, cancellation,
                 [&](std::size_t worker, std::size_t i) { run_to(worker, i, ends.max); });
  }
  for (auto& tree : trees) take(std::move(tree.finished()));
  return PrefixTreeDecoder::merge(trees, kPartsPerWorker * workers.size(), kMinPartRows);
}

/// Decodes the parts of a tree. A worker takes the next one where it has too few rows for a full
/// step; of few rows that are left in all, where it has a small piece of its share.
void decode_parts(std::span<Worker* const> workers, const DecodeRequest& request,
                  std::vector<PrefixTreeDecoder::Part> parts, CallCancellation& cancellation,
                  const Take& take) {
  std::vector<std::size_t> left(parts.size());  // rows of each part and of those after it
  for (std::size_t i = parts.size(), rows = 0; i-- > 0;) left[i] = rows += parts[i].rows;
  std::vector<PrefixTreeDecoder> trees;
  for (const Worker* worker : workers) trees.emplace_back(request, worker->step.vocab_size());
  std::vector<FinishedSequences> finished(parts.size());
  parallel_for(
      workers, parts.size(), cancellation,
      [&](std::size_t worker, std::size_t i) {
        const std::size_t piece = divide_up(left[i], kPiecesPerWorker * workers.size());
        const std::size_t enough =
            std::min(std::max(piece, kMinPartRows), static_cast<std::size_t>(request.batch_size));
        trees[worker].run_part(*workers[worker]->snapshot_step, std::move(parts[i]), enough,
                               cancellation);
        finished[i] = std::exchange(trees[worker].finished(), {});
      },
      [&](std::size_t i) { take(std::move(finished[i])); },
      [&](std::size_t worker) {
        run(trees[worker], *workers[worker], PrefixTreeDecoder::kUnlimited, cancellation);
      });
  for (PrefixTreeDecoder& tree : trees) take(std::move(tree.finished()));
}

/// Decodes rows as one tree. A step without snapshots cannot hand over a state: the first worker
/// decodes until there are too many groups, and the rows begin again in parts that workers take.
void decode_rows(std::span<Worker* const> workers, const DecodeRequest& request, const Rows& rows,
                 CallCancellation& cancellation, const Take& take) {
  Worker& first = *workers.front();
  const bool snapshots = first.snapshot_step != nullptr;
  if (snapshots && workers.size() > 1) {
    std::vector<PrefixTreeDecoder> trees;
    auto parts = begin(workers, request, rows, cancellation, take, trees);
    return decode_parts(workers, request, std::move(parts), cancellation, take);
  }
  const std::int64_t vocab_size = first.step.vocab_size();
  const std::size_t enough_groups = snapshots
                                        ? PrefixTreeDecoder::kUnlimited
                                        : std::min(divide_up(rows.size(), workers.size()),
                                                   static_cast<std::size_t>(request.batch_size));
  PrefixTreeDecoder tree(request, vocab_size);
  tree.start(rows.begin, rows.end);
  if (run(tree, first, enough_groups, cancellation)) return take(std::move(tree.finished()));
  auto parts = restart(tree, request, vocab_size, enough_groups);
  parallel_for(
      workers, parts.size(), cancellation,
      [&](std::size_t worker, std::size_t i) {
        run(parts[i], *workers[worker], PrefixTreeDecoder::kUnlimited, cancellation);
      },
      [&](std::size_t i) { take(std::move(parts[i].finished())); });
}

}  // namespace

void decode_tree(std::span<Worker* const> workers, const DecodeRequest& request,
                 CallCancellation& cancellation, Output& output) {
  for (std::int64_t begin = 0; begin < request.rows; begin += kTreeRows) {
    const Rows rows{begin, std::min(begin + kTreeRows, request.rows)};
    decode_rows(workers, request, rows, cancellation,
                [&](FinishedSequences&& finished) { output.take(std::move(finished)); });
    output.end_rows(begin, rows.size(), for_each_of(workers, rows.size(), cancellation));
  }
}

std::vector<FinishedSequences> decode_tree_row(Worker& worker, const DecodeRequest& request,
                                               std::int64_t row, CallCancellation& cancellation) {
  std::vector<FinishedSequences> all;
  decode_rows(std::array{&worker}, request, {row, row + 1}, cancellation,
              [&](FinishedSequences&& finished) { all.push_back(std::move(finished)); });
  return all;
}

}  // namespace makemore
