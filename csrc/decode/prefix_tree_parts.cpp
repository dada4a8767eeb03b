#include <algorithm>
#include <functional>
#include <utility>

#include "prefix_tree_decoder.h"

namespace makemore {

void PrefixTreeDecoder::run_to(SnapshotStep& step, std::int64_t position,
                               CallCancellation& cancellation) {
  end_position_ = position;
  for (Group& group : std::exchange(waiting_, {})) put(std::move(group));
  saved_waiting_ = 0;
  first_unsaved_ = pending_.size();
  run(step, kUnlimited, cancellation);
}

void PrefixTreeDecoder::put(Group&& group) {
  if (group.position >= end_position_) {
    waiting_.push_back(std::move(group));
  } else if (group.common != CommonPrefixes::kNone) {
    known_.push_back(std::move(group));
  } else {
    pending_.push_back(std::move(group));
  }
}

std::size_t PrefixTreeDecoder::pending_rows() const {
  std::size_t rows = 0;
  for (const Group& group : pending_) rows += group.end - group.begin;
  return rows;
}

std::size_t PrefixTreeDecoder::largest_waiting() const {
  std::size_t largest = 0;
  for (const Group& group : waiting_) largest = std::max(largest, group.end - group.begin);
  return largest;
}

std::vector<PrefixTreeDecoder::Part> PrefixTreeDecoder::merge(std::span<PrefixTreeDecoder> trees,
                                                              std::size_t share,
                                                              std::size_t min_rows) {
  struct Piece {
    PrefixTreeDecoder& tree;
    Group& group;
    std::size_t begin, length;  // of its prefix, in `tokens`
  };
  LargeVector<std::int32_t> tokens;
  std::vector<Piece> pieces;
  std::size_t rows = 0;
  for (PrefixTreeDecoder& tree : trees) {
    for (Group& group : tree.waiting_) {
      const std::size_t begin = tokens.size();
      pieces.push_back({tree, group, begin, tree.tree_.append_to(tokens, group.prefix)});
      rows += group.end - group.begin;
    }
  }
  const auto prefix = [&tokens](const Piece* piece) {
    return std::span(tokens).subspan(piece->begin, piece->length);
  };
  std::vector<Piece*> sorted;
  for (Piece& piece : pieces) sorted.push_back(&piece);
  std::ranges::stable_sort(sorted, std::ranges::lexicographical_compare, prefix);

  std::vector<Part> parts;
  for (auto piece = sorted.begin(); piece != sorted.end();) {
    Part& part = parts.emplace_back();
    const std::size_t enough = std::max(rows / share, min_rows);
    while (piece != sorted.end() && part.rows < enough) {
      const auto of_prefix = prefix(*piece);
      Group& first_group = (*piece)->group;
      const std::size_t begin = part.rows;
      for (; piece != sorted.end() && std::ranges::equal(prefix(*piece), of_prefix); ++piece) {
        const Group& group = (*piece)->group;
        const std::size_t size = group.end - group.begin;
        part.sequences.push_back(std::span((*piece)->tree.sequences_).subspan(group.begin, size));
        part.rows += size;
      }
      Group& merged = part.groups.emplace_back(std::move(first_group));
      merged.prefix = PrefixTree::kEmpty;
      for (const std::int32_t token : of_prefix) {
        merged.prefix = part.tree.add(merged.prefix, token);
      }
      merged.begin = begin;
      merged.end = part.rows;
    }
    rows -= part.rows;
  }
  for (PrefixTreeDecoder& tree : trees) tree.waiting_.clear();
  std::ranges::sort(parts, std::ranges::greater(), &Part::rows);
  return parts;
}

std::vector<std::int64_t> PrefixTreeDecoder::rows() const {
  std::vector<std::int64_t> rows;
  for (const Sequence& sequence : sequences_) rows.push_back(sequence.row);
  return rows;
}

}  // namespace makemore
