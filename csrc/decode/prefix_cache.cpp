#include "prefix_cache.h"

#include <algorithm>
#include <array>
#include <utility>

#include "rules.h"

namespace makemore {
namespace {

/// Nodes that were used more often count as used this often.
constexpr std::uint32_t kMaxUses = 8;

/// Uses are halved every so many times that something is forgotten.
constexpr std::uint64_t kHalvingPeriod = 8;

bool same(const std::shared_ptr<const ExcludedTokens>& a,
          const std::shared_ptr<const ExcludedTokens>& b) {
  return a == b || (a && b && *a == *b);
}

}  // namespace

PrefixCache::PrefixCache(SnapshotStep& step, CacheShare share)
    : step_(step),
      share_(std::move(share)),
      common_(step.common_prefixes({})),
      vocab_size_(static_cast<std::size_t>(step.vocab_size())),
      rows_(row_bytes(vocab_size_)) {}

std::size_t PrefixCache::row_bytes(std::size_t vocab_size) {
  return vocab_size * (sizeof(double) + sizeof(float) + sizeof(NodeId));
}

void PrefixCache::end() {
  if (bytes() > share_.bytes()) forget_rare({});
}

std::size_t PrefixCache::node_bytes(const SnapshotStep& step) {
  return sizeof(Node) + row_bytes(static_cast<std::size_t>(step.vocab_size())) +
         step.snapshot_bytes();
}

PrefixCache::NodeId PrefixCache::begin(const SamplingOptions& options,
                                       const std::shared_ptr<const ExcludedTokens>& excluded) {
  if (!sampler_ || options != options_ || !same(excluded, excluded_)) {
    sampler_.emplace(options, step_.vocab_size());
    options_ = options;
    excluded_ = excluded;
    ++options_number_;
  }
  // What is left of a larger cache would be scattered over all its memory.
  const std::size_t share = share_.bytes();
  if (share < last_share_) clear();
  last_share_ = share;
  if (nodes_.empty()) add(kNone, 0, 0, CommonPrefixes::kEmpty);
  return kRoot;
}

void PrefixCache::clear() {
  nodes_.clear();
  rows_.clear();
  merged_.clear();
  unknown_.clear();
}

std::size_t PrefixCache::bytes() const {
  return nodes_.size() * node_bytes() + merged_.size() * sizeof(NodeId);
}

/// Keeps what was used most, three quarters of the share at most. Uses are halved now and then, so
/// that what was common long ago gives way: Einziger et al. (2017), TinyLFU: A Highly Efficient
/// Cache Admission Policy, section 3.3. A string that used a node used its parent, so what is kept
/// is a tree again.
std::vector<PrefixCache::NodeId> PrefixCache::forget_rare(std::span<const NodeId> needed) {
  const std::vector<bool> keep = nodes_to_keep(needed);
  ++times_forgotten_;
  std::vector<NodeId> moved(nodes_.size(), kNone);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (keep[i]) moved[i] = static_cast<NodeId>(kept++);
  }
  for (std::size_t i = 0; i < keep.size(); ++i) {
    Node& old = nodes_[i];
    if (!keep[i]) {
      rows_.give_back(old.row);
      continue;
    }
    old.parent = moved[index(old.parent)];
    old.uses = std::min(old.uses, kMaxUses);
    if (times_forgotten_ % kHalvingPeriod == 0) old.uses /= 2;
    for (NodeId& child : children(old)) child = moved[index(child)];
    if (index(moved[i]) != i) node(moved[i]) = std::move(old);
  }
  nodes_.resize(kept);
  for (NodeId& id : merged_) id = moved[index(id)];
  for (NodeId& id : unknown_) id = moved[index(id)];
  std::erase(unknown_, kNone);
  return moved;
}

/// The `needed` nodes and what leads to them, then what was used most, as far as there is room.
std::vector<bool> PrefixCache::nodes_to_keep(std::span<const NodeId> needed) {
  std::vector<bool> keep(nodes_.size());
  keep[kRoot] = true;
  std::size_t kept = 1;
  for (NodeId id : needed) {
    for (; !keep[index(id)]; id = node(id).parent) {
      keep[index(id)] = true;
      ++kept;
    }
  }
  const auto uses = [this](std::size_t i) {
    const Node& of_id = nodes_[i];
    return of_id.known ? std::min(of_id.uses, kMaxUses) : 0;
  };
  std::array<std::size_t, kMaxUses + 1> count{};  // of the other nodes by their uses
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) ++count[uses(i)];
  }
  std::size_t room = share_.bytes() / 4 * 3 / node_bytes();
  room -= std::min(room, kept);
  std::uint32_t least = kMaxUses + 1;
  while (least > 1 && count[least - 1] <= room) room -= count[--least];
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (uses(i) >= least) keep[i] = true;
  }
  return keep;
}

PrefixCache::NodeId PrefixCache::find(NodeId parent, std::int64_t token) {
  const std::int64_t position = node(parent).position + 1;
  const CommonPrefixes::Id before = node(parent).common;
  const CommonPrefixes::Id common =
      before == CommonPrefixes::kNone ? before : common_->child(before, token);
  if (!step_.is_stateless()) return add(parent, token, position, common);
  const std::size_t place =
      static_cast<std::size_t>(position) * vocab_size_ + static_cast<std::size_t>(token);
  if (place >= merged_.size()) merged_.resize(place + vocab_size_, kNone);
  if (merged_[place] == kNone) merged_[place] = add(parent, token, position, common);
  return merged_[place];
}

PrefixCache::NodeId PrefixCache::add(NodeId parent, std::int64_t token, std::int64_t position,
                                     CommonPrefixes::Id common) {
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({.token = token, .position = position, .parent = parent, .common = common});
  nodes_.back().row = rows_.take();
  std::ranges::fill(children(nodes_.back()), kNone);
  if (common != CommonPrefixes::kNone) {
    store(id, common_->logits(common), common_->state(common));
  } else {
    unknown_.push_back(id);
  }
  return id;
}

void PrefixCache::evaluate(std::size_t max_rows) {
  for (std::size_t begin = 0; begin < unknown_.size(); begin += max_rows) {
    run(std::span(unknown_).subspan(begin, std::min(max_rows, unknown_.size() - begin)));
  }
  unknown_.clear();
}

void PrefixCache::run(std::span<const NodeId> ids) {
  std::vector<std::optional<StateSnapshot>> states;
  std::vector<std::int64_t> tokens, positions;
  for (const NodeId id : ids) {
    states.push_back(node(node(id).parent).state);
    tokens.push_back(node(id).token);
    positions.push_back(node(id).position);
  }
  step_.restore(states);
  const auto logits = run_checked(step_, tokens, positions);
  for (std::size_t row = 0; row < ids.size(); ++row) {
    store(ids[row], logits.subspan(row * vocab_size_, vocab_size_),
          step_.save(static_cast<std::int64_t>(row)));
  }
}

void PrefixCache::store(NodeId id, std::span<const float> logits, StateSnapshot state) {
  Node& of_id = node(id);
  std::ranges::copy(logits, this->logits(of_id).begin());
  of_id.state = std::move(state);
  of_id.known = true;
}

void PrefixCache::prepare(Node& node) {
  sampler_->prepare(logits(node), allowed_tokens(excluded_.get()));
  std::ranges::copy(sampler_->cumulative(), distribution(node).begin());
  node.prepared = options_number_;
}

double PrefixCache::add_log_prob(double log_prob, NodeId id, std::int64_t token) {
  Node& of_id = node(id);
  if (of_id.normalizer == 0) of_id.normalizer = log_sum_exp(logits(of_id));
  return log_prob + logits(of_id)[static_cast<std::size_t>(token)] - of_id.normalizer;
}

}  // namespace makemore
