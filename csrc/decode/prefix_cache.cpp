#include "prefix_cache.h"

#include <algorithm>
#include <utility>

#include "rules.h"

namespace makemore {
namespace {

/// Uses are halved every so many times that something is forgotten.
constexpr std::uint64_t kHalvingPeriod = 16;

/// Room for those of a string, so that they are not moved to larger memory again and again.
constexpr std::size_t kFirstNodes = 16;

bool same(const std::shared_ptr<const ExcludedTokens>& a,
          const std::shared_ptr<const ExcludedTokens>& b) {
  return a == b || (a && b && *a == *b);
}

}  // namespace

PrefixCache::PrefixCache(SnapshotStep& step, CacheShare share)
    : step_(step),
      is_stateless_(step.is_stateless()),
      share_(std::move(share)),
      common_(step.common_prefixes()),
      vocab_size_(static_cast<std::size_t>(step.vocab_size())),
      rows_(row_bytes(vocab_size_)) {
  nodes_.reserve(kFirstNodes);
  uses_.reserve(kFirstNodes);
}

std::size_t PrefixCache::row_bytes(std::size_t vocab_size) {
  return vocab_size * (sizeof(double) + sizeof(float) + sizeof(NodeId));
}

void PrefixCache::end() {
  if (bytes() > share_.bytes()) forget_rare({}, 15.0 / 16);
  if (times_forgotten_ >= kHalvingPeriod) {
    uses_.halve();
    times_forgotten_ = 0;
  }
}

std::size_t PrefixCache::node_bytes(const SnapshotStep& step) {
  return sizeof(Node) + NodeUses::kBytes + row_bytes(static_cast<std::size_t>(step.vocab_size())) +
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
  // What is left of a larger cache would be scattered over all its memory. And nodes that have
  // become common prefixes would go on to take memory of their own.
  const std::size_t share = share_.bytes(), common = common_->size();
  const bool has_grown = common != last_common_ && !common_->is_growing();
  if (share < last_share_ || has_grown) clear();
  last_share_ = share;
  if (has_grown) last_common_ = common;
  if (nodes_.empty()) add(kNone, 0, 0, CommonPrefixes::kEmpty);
  return kRoot;
}

void PrefixCache::clear() {
  nodes_.clear();
  own_states_ = 0;
  uses_.clear();
  free_.clear();
  rows_.clear();
  merged_.clear();
  unknown_.clear();
}

std::size_t PrefixCache::bytes() const {
  const std::size_t of_state = step_.snapshot_bytes();
  return (nodes_.size() - free_.size()) * (node_bytes() - of_state) + own_states_ * of_state +
         merged_.size() * sizeof(NodeId);
}

/// Keeps `needed` nodes and what leads to them, then those with the most uses, until they are that
/// part of the share. What is kept is a tree again, since no node has more uses than its parent;
/// but a model without state has nodes of several parents, and what led to one may be gone.
void PrefixCache::forget_rare(std::span<const NodeId> needed, double part) {
  std::vector<bool> keep(nodes_.size());
  keep[kRoot] = true;
  std::size_t kept = 1;
  for (NodeId id : needed) {
    for (; !keep[index(id)]; id = node(id).parent) {
      keep[index(id)] = true;
      ++kept;
    }
  }
  std::vector<double> others;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i] && uses_.has(i)) others.push_back(uses_.of(i));
  }
  const double of_bytes = part * static_cast<double>(share_.bytes()) / static_cast<double>(bytes());
  const auto most =
      static_cast<std::size_t>(of_bytes * static_cast<double>(nodes_.size() - free_.size()));
  const std::size_t room = most - std::min(most, kept);
  if (others.size() <= room) return;
  const auto rare = others.begin() + static_cast<std::ptrdiff_t>(others.size() - room) - 1;
  std::ranges::nth_element(others, rare);
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i] && uses_.has(i) && uses_.of(i) <= *rare) forget(static_cast<NodeId>(i));
  }
  const auto is_gone = [this](NodeId id) { return !uses_.has(index(id)); };
  std::erase_if(unknown_, is_gone);
  if (!merged_.empty()) {  // a node may be the child of many
    std::ranges::replace_if(merged_, is_gone, kNone);
    for (const Node& each : nodes_) {
      if (each.row != nullptr) std::ranges::replace_if(children(each), is_gone, kNone);
    }
  }
  ++times_forgotten_;
}

void PrefixCache::forget(NodeId id) {
  Node& of_id = node(id);
  const Node& parent = node(of_id.parent);
  if (parent.row != nullptr) children(parent)[static_cast<std::size_t>(of_id.token)] = kNone;
  rows_.give_back(of_id.row);
  if (of_id.owns_state) --own_states_;
  of_id = {};
  uses_.remove(index(id));
  free_.push_back(id);
}

PrefixCache::NodeId PrefixCache::find(NodeId parent, std::int64_t token) {
  const std::int64_t position = node(parent).position + 1;
  const CommonPrefixes::Id before = node(parent).common;
  const CommonPrefixes::Id common =
      before == CommonPrefixes::kNone ? before : common_->child(before, token);
  if (!is_stateless_) return add(parent, token, position, common);
  const std::size_t place =
      static_cast<std::size_t>(position) * vocab_size_ + static_cast<std::size_t>(token);
  if (place >= merged_.size()) merged_.resize(place + vocab_size_, kNone);
  if (merged_[place] == kNone) merged_[place] = add(parent, token, position, common);
  return merged_[place];
}

PrefixCache::NodeId PrefixCache::add(NodeId parent, std::int64_t token, std::int64_t position,
                                     CommonPrefixes::Id common) {
  auto id = static_cast<NodeId>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  uses_.add(index(id));
  node(id) = {.token = token,
              .position = position,
              .parent = parent,
              .common = common,
              .row = rows_.take()};
  std::ranges::fill(children(node(id)), kNone);
  if (common != CommonPrefixes::kNone) {
    store(id, common_->logits(common), {});
  } else {
    unknown_.push_back(id);
    own_state(id);
  }
  return id;
}

/// Counts the state of a node that is to be run, and those of the nodes that must be run before.
void PrefixCache::own_state(NodeId id) {
  for (; !has_state(node(id)) && !node(id).owns_state; id = node(id).parent) {
    node(id).owns_state = true;
    ++own_states_;
  }
}

/// The node itself, or the first one before it whose state is not kept.
PrefixCache::NodeId PrefixCache::first_to_run(NodeId id) {
  while (!has_state(node(node(id).parent))) id = node(id).parent;
  return id;
}

void PrefixCache::evaluate(std::size_t max_rows) {
  std::vector<NodeId> before;
  for (;; before.clear()) {
    for (const NodeId id : unknown_) {
      const NodeId first = first_to_run(id);
      if (first != id) before.push_back(first);
    }
    if (before.empty()) break;
    std::ranges::sort(before);  // several may wait for one
    before.erase(std::unique(before.begin(), before.end()), before.end());
    run_all(before, max_rows);
  }
  run_all(unknown_, max_rows);
  unknown_.clear();
}

void PrefixCache::run_all(std::span<const NodeId> ids, std::size_t max_rows) {
  for (std::size_t begin = 0; begin < ids.size(); begin += max_rows) {
    run(ids.subspan(begin, std::min(max_rows, ids.size() - begin)));
  }
}

void PrefixCache::run(std::span<const NodeId> ids) {
  std::vector<std::optional<StateSnapshot>> states;
  std::vector<std::int64_t> tokens, positions;
  for (const NodeId id : ids) {
    states.push_back(state(node(node(id).parent)));
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
