#include <utility>

#include "prefix_tree_decoder.h"

namespace makemore {

std::vector<PrefixTreeDecoder> PrefixTreeDecoder::split(std::size_t count) {
  for (Group& group : known_) pending_.push_back(std::move(group));
  known_.clear();
  std::size_t rows = 0;  // of the groups that are still here
  for (const Group& group : pending_) rows += group.end - group.begin;
  std::vector<PrefixTreeDecoder> parts;
  for (auto group = pending_.begin(); count > 0; --count) {
    PrefixTreeDecoder& part = parts.emplace_back(PrefixTreeDecoder(request_, vocab_size_));
    const std::size_t share = rows / count;
    for (; group != pending_.end() && part.sequences_.size() < share; ++group) {
      const auto sequences = std::span(sequences_).subspan(group->begin, group->end - group->begin);
      Group moved = std::move(*group);
      moved.prefix = part.tree_.add_from(tree_, moved.prefix);
      moved.begin = part.sequences_.size();
      part.sequences_.insert(part.sequences_.end(), sequences.begin(), sequences.end());
      moved.end = part.sequences_.size();
      const bool is_known = moved.common != CommonPrefixes::kNone;
      if (is_known) part.known_.push_back(std::move(moved));
      if (!is_known) part.pending_.push_back(std::move(moved));
    }
    part.first_unsaved_ = part.pending_.size();
    part.finished_.sequences.reserve(part.sequences_.size());
    rows -= part.sequences_.size();
  }
  pending_.clear();
  return parts;
}

std::vector<std::int64_t> PrefixTreeDecoder::rows() const {
  std::vector<std::int64_t> rows;
  for (const Sequence& sequence : sequences_) rows.push_back(sequence.row);
  return rows;
}

}  // namespace makemore
