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

/// Parts of a tree for each worker, so that none waits long for the last one; and the groups that
/// they are made of, of which few may have most of the rows.
constexpr std::size_t kPartsPerWorker = 16, kGroupsPerWorker = 32;

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

/// Decodes rows as one tree. The first worker begins it: few prefixes are alive at first, however
/// many the rows. Once there are enough for all workers, each takes a part of the pending groups.
/// A step without snapshots cannot hand over a state; its rows begin again in the parts.
void decode_rows(std::span<Worker* const> workers, const DecodeRequest& request, const Rows& rows,
                 CallCancellation& cancellation, const Take& take) {
  Worker& first = *workers.front();
  const std::int64_t vocab_size = first.step.vocab_size();
  const bool snapshots = first.snapshot_step != nullptr;
  const std::size_t rows_each = std::min(divide_up(rows.size(), workers.size()),
                                         static_cast<std::size_t>(request.batch_size));
  const std::size_t enough_groups =
      snapshots ? std::min(rows_each, kGroupsPerWorker * workers.size()) : rows_each;
  const bool alone = snapshots && workers.size() == 1;
  PrefixTreeDecoder tree(request, vocab_size, rows);
  const bool done =
      run(tree, first, alone ? PrefixTreeDecoder::kUnlimited : enough_groups, cancellation);
  if (done || snapshots) take(std::move(tree.finished()));
  if (done) return;

  auto parts = snapshots ? tree.split(kPartsPerWorker * workers.size())
                         : restart(tree, request, vocab_size, enough_groups);
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
