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

PrefixCache::PrefixCache(Step& step)
    : step_(step), vocab_size_(static_cast<std::size_t>(step.vocab_size())) {}

PrefixCache::Node PrefixCache::begin(const SamplingOptions& options) {
  if (bytes() > kLimit) forget_rare();
  if (!sampler_ || options != options_) {
    sampler_.emplace(options, step_.vocab_size());
    options_ = options;
    ++options_number_;
  }
  if (facts_.empty()) {
    const auto start = step_.start();
    learn(add(kNone, 0, 0), start->logits, start->state);
    unknown_.clear();
  }
  return 0;
}

std::size_t PrefixCache::node_bytes() const {
  const std::size_t token = sizeof(float) + sizeof(double) + sizeof(Node);
  return token * vocab_size_ + sizeof(Facts) + step_.state_bytes();
}

/// Keeps the start and what was met most often, three quarters of the limit at most. Counts are
/// halved now and then, so that what was common long ago gives way: Einziger et al. (2017),
/// TinyLFU: A Highly Efficient Cache Admission Policy, section 3.3. Whoever came by a node came by
/// its parent, so what is kept is a tree again. Everything is forgotten where prefixes are merged.
void PrefixCache::forget_rare() {
  ++forgotten_;
  std::array<std::size_t, kOften + 1> count{};  // of nodes by how often they were met
  for (Facts& facts : facts_) {
    facts.met = facts.known ? std::min(facts.met, kOften) : 0;
    ++count[facts.met];
  }
  std::uint32_t least = kOften + 1;
  std::size_t left = kLimit / 4 * 3 / node_bytes();
  while (least > 1 && count[least - 1] < left) left -= count[--least];
  if (least > kOften || step_.is_stateless()) return forget();

  std::vector<Node> moved(facts_.size(), kNone);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    if (i == 0 || facts_[i].met >= least) moved[i] = static_cast<Node>(kept++);
  }
  const auto move_row = [&](auto& table, std::size_t from, std::size_t to) {
    std::copy_n(&table[from * vocab_size_], vocab_size_, &table[to * vocab_size_]);
  };
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    if (moved[i] == kNone) continue;
    const std::size_t to = index(moved[i]);
    if (to != i) facts_[to] = std::move(facts_[i]);
    Facts& facts = facts_[to];
    if (facts.parent != kNone) facts.parent = moved[index(facts.parent)];
    if (forgotten_ % kPeriod == 0) facts.met /= 2;
    move_row(logits_, i, to);
    move_row(cumulative_, i, to);
    move_row(children_, i, to);
    for (Node& child : std::span(children_).subspan(to * vocab_size_, vocab_size_)) {
      if (child != kNone) child = moved[index(child)];
    }
  }
  facts_.resize(kept);
  logits_.resize(kept * vocab_size_);
  cumulative_.resize(kept * vocab_size_);
  children_.resize(kept * vocab_size_);
  unknown_.clear();
}

void PrefixCache::forget() {
  facts_.clear();
  logits_.clear();
  cumulative_.clear();
  children_.clear();
  unknown_.clear();
  merged_.clear();
}

PrefixCache::Node PrefixCache::find(Node node, std::int64_t token) {
  const std::int64_t position = facts_[index(node)].position + 1;
  if (!step_.is_stateless()) return add(node, token, position);
  const std::size_t place =
      static_cast<std::size_t>(position) * vocab_size_ + static_cast<std::size_t>(token);
  if (place >= merged_.size()) merged_.resize(place + vocab_size_, kNone);
  if (merged_[place] == kNone) merged_[place] = add(node, token, position);
  return merged_[place];
}

PrefixCache::Node PrefixCache::add(Node parent, std::int64_t token, std::int64_t position) {
  const auto node = static_cast<Node>(facts_.size());
  facts_.push_back({token, position, parent, false, 0, 0, 0.0, {}});
  const std::size_t size = facts_.size() * vocab_size_;
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

void PrefixCache::run(std::span<const Node> nodes) {
  std::vector<std::optional<StateSnapshot>> states;
  std::vector<std::int64_t> tokens, positions;
  for (const Node node : nodes) {
    const Facts& facts = facts_[index(node)];
    states.push_back(facts_[index(facts.parent)].state);
    tokens.push_back(facts.token);
    positions.push_back(facts.position);
  }
  step_.restore(states);
  const auto logits = step_.run(tokens, positions);
  for (std::size_t row = 0; row < nodes.size(); ++row) {
    learn(nodes[row], logits.subspan(row * vocab_size_, vocab_size_),
          step_.save(static_cast<std::int64_t>(row)));
  }
}

void PrefixCache::learn(Node node, std::span<const float> logits, StateSnapshot state) {
  std::ranges::copy(logits, logits_.begin() + static_cast<std::ptrdiff_t>(at(node, 0)));
  facts_[index(node)].state = std::move(state);
  facts_[index(node)].known = true;
}

std::span<const double> PrefixCache::cumulative(Node node) {
  const auto row = std::span(cumulative_).subspan(at(node, 0), vocab_size_);
  Facts& facts = facts_[index(node)];
  if (facts.prepared != options_number_) {
    sampler_->prepare(std::span(logits_).subspan(at(node, 0), vocab_size_));
    std::ranges::copy(sampler_->cumulative(), row.begin());
    facts.prepared = options_number_;
  }
  return row;
}

double PrefixCache::add_log_prob(double log_prob, Node node, std::int64_t token) {
  Facts& facts = facts_[index(node)];
  if (facts.normalizer == 0) {
    facts.normalizer = log_sum_exp(std::span(logits_).subspan(at(node, 0), vocab_size_));
  }
  return log_prob + logits_[at(node, token)] - facts.normalizer;
}

}  // namespace makemore
