#include "prefix_cache.h"

#include <algorithm>
#include <array>

namespace makemore {
namespace {

/// Nodes that were met oftener are not told apart.
constexpr std::uint32_t kOften = 8;

/// Counts are halved every so many times that something is forgotten.
constexpr std::uint64_t kPeriod = 8;

}  // namespace

PrefixCache::PrefixCache(SnapshotStep& step)
    : step_(step), vocab_size_(static_cast<std::size_t>(step.vocab_size())) {}

PrefixCache::NodeId PrefixCache::begin(const SamplingOptions& options) {
  if (bytes() > kLimit) forget_rare();
  if (!sampler_ || options != options_) {
    sampler_.emplace(options, step_.vocab_size());
    options_ = options;
    ++options_number_;
  }
  if (nodes_.empty()) {
    const auto first = step_.first_step();
    learn(add(kNone, 0, 0), first->logits, first->state);
    unknown_.clear();
  }
  return 0;
}

std::size_t PrefixCache::node_bytes() const {
  const std::size_t token = sizeof(float) + sizeof(double) + sizeof(NodeId);
  return token * vocab_size_ + sizeof(Node) + sizeof(SnapshotNode) + step_.snapshot_bytes();
}

/// Keeps the start and what was met most often, three quarters of the limit at most. Counts are
/// halved now and then, so that what was common long ago gives way: Einziger et al. (2017),
/// TinyLFU: A Highly Efficient Cache Admission Policy, section 3.3. Whoever came by a node came by
/// its parent, so what is kept is a tree again. Everything is forgotten where prefixes are merged.
void PrefixCache::forget_rare() {
  ++forgotten_;
  std::array<std::size_t, kOften + 1> count{};  // of nodes by how often they were met
  for (Node& of_node : nodes_) {
    of_node.met = of_node.known ? std::min(of_node.met, kOften) : 0;
    ++count[of_node.met];
  }
  std::uint32_t least = kOften + 1;
  std::size_t left = kLimit / 4 * 3 / node_bytes();
  while (least > 1 && count[least - 1] < left) left -= count[--least];
  if (least > kOften || step_.is_stateless()) return forget();

  std::vector<NodeId> moved(nodes_.size(), kNone);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (i == 0 || nodes_[i].met >= least) moved[i] = static_cast<NodeId>(kept++);
  }
  const auto move_row = [&](auto& table, std::size_t from, std::size_t to) {
    std::copy_n(&table[from * vocab_size_], vocab_size_, &table[to * vocab_size_]);
  };
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (moved[i] == kNone) continue;
    const std::size_t to = index(moved[i]);
    if (to != i) nodes_[to] = std::move(nodes_[i]);
    Node& of_node = nodes_[to];
    if (of_node.parent != kNone) of_node.parent = moved[index(of_node.parent)];
    if (forgotten_ % kPeriod == 0) of_node.met /= 2;
    move_row(logits_, i, to);
    move_row(cumulative_, i, to);
    move_row(children_, i, to);
    for (NodeId& child : std::span(children_).subspan(to * vocab_size_, vocab_size_)) {
      if (child != kNone) child = moved[index(child)];
    }
  }
  nodes_.resize(kept);
  logits_.resize(kept * vocab_size_);
  cumulative_.resize(kept * vocab_size_);
  children_.resize(kept * vocab_size_);
  unknown_.clear();
}

void PrefixCache::forget() {
  nodes_.clear();
  logits_.clear();
  cumulative_.clear();
  children_.clear();
  unknown_.clear();
  merged_.clear();
}

PrefixCache::NodeId PrefixCache::find(NodeId node, std::int64_t token) {
  const std::int64_t position = nodes_[index(node)].position + 1;
  if (!step_.is_stateless()) return add(node, token, position);
  const std::size_t place =
      static_cast<std::size_t>(position) * vocab_size_ + static_cast<std::size_t>(token);
  if (place >= merged_.size()) merged_.resize(place + vocab_size_, kNone);
  if (merged_[place] == kNone) merged_[place] = add(node, token, position);
  return merged_[place];
}

PrefixCache::NodeId PrefixCache::add(NodeId parent, std::int64_t token, std::int64_t position) {
  const auto node = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({token, position, parent, false, 0, 0, 0.0, {}});
  const std::size_t size = nodes_.size() * vocab_size_;
  logits_.resize(size);
  cumulative_.resize(size);
  children_.resize(size, kNone);
  unknown_.push_back(node);
  return node;
}

void PrefixCache::evaluate(std::size_t rows) {
  for (std::size_t begin = 0; begin < unknown_.size(); begin += rows) {
    run(std::span(unknown_).subspan(begin, std::min(rows, unknown_.size() - begin)));
  }
  unknown_.clear();
}

void PrefixCache::run(std::span<const NodeId> nodes) {
  std::vector<std::optional<StateSnapshot>> states;
  std::vector<std::int64_t> tokens, positions;
  for (const NodeId node : nodes) {
    const Node& of_node = nodes_[index(node)];
    states.push_back(nodes_[index(of_node.parent)].state);
    tokens.push_back(of_node.token);
    positions.push_back(of_node.position);
  }
  step_.restore(states);
  const auto logits = step_.run(tokens, positions);
  for (std::size_t row = 0; row < nodes.size(); ++row) {
    learn(nodes[row], logits.subspan(row * vocab_size_, vocab_size_),
          step_.save(static_cast<std::int64_t>(row)));
  }
}

void PrefixCache::learn(NodeId node, std::span<const float> logits, StateSnapshot state) {
  std::ranges::copy(logits, logits_.begin() + static_cast<std::ptrdiff_t>(at(node, 0)));
  nodes_[index(node)].state = std::move(state);
  nodes_[index(node)].known = true;
}

std::span<const double> PrefixCache::cumulative(NodeId node) {
  const auto row = std::span(cumulative_).subspan(at(node, 0), vocab_size_);
  Node& of_node = nodes_[index(node)];
  if (of_node.prepared != options_number_) {
    sampler_->prepare(std::span(logits_).subspan(at(node, 0), vocab_size_));
    std::ranges::copy(sampler_->cumulative(), row.begin());
    of_node.prepared = options_number_;
  }
  return row;
}

double PrefixCache::add_log_prob(double log_prob, NodeId node, std::int64_t token) {
  Node& of_node = nodes_[index(node)];
  if (of_node.normalizer == 0) {
    of_node.normalizer = log_sum_exp(std::span(logits_).subspan(at(node, 0), vocab_size_));
  }
  return log_prob + logits_[at(node, token)] - of_node.normalizer;
}

}  // namespace makemore
