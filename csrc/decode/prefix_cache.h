#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache_budget.h"
#include "excluded_tokens.h"
#include "node_uses.h"
#include "prefetch.h"
#include "row_pool.h"
#include "sampler.h"
#include "snapshot_step.h"

namespace makemore {

/// The logits after prefixes, kept from one call to the next: a tree of nodes by the tokens that
/// lead from one to the other. Strings never depend on what it holds.
///
/// A node is a prefix. Where a model has no state, prefixes of one length that end in the same
/// token are one node, since a step cannot distinguish them either. A node is `known` once
/// `evaluate` has run the step on it.
class PrefixCache {
 public:
  using NodeId = std::int32_t;

  /// The step must outlive the cache.
  PrefixCache(SnapshotStep& step, CacheShare share);

  /// The empty prefix, for strings that are sampled with `options`, without some tokens, if any.
  /// Nothing else may use the step until they are finished.
  NodeId begin(const SamplingOptions& options,
               const std::shared_ptr<const ExcludedTokens>& excluded);

  /// Whether a step knows nothing of a prefix but its length and its last token.
  bool is_stateless() const { return is_stateless_; }

  bool is_known(NodeId id) { return node(id).known; }

  /// A string begins to draw at a known node, or is forced on from it. Returns how many were
  /// lately.
  double count_begun(NodeId id) { return uses_.count_begun(index(id)); }

  /// The node that `token` leads to, added if there is none. `parent` must be known. `expected`:
  /// strings that are expected to have drawn their way to it lately; none where it was forced.
  NodeId child(NodeId parent, std::int64_t token, std::optional<double> expected) {
    NodeId& place = children(node(parent))[static_cast<std::size_t>(token)];
    if (place == kNone) place = find(parent, token);
    if (expected) uses_.count_drawn(index(place), *expected);
    prefetch(&node(place));
    return place;
  }

  /// Asks for the memory of what a known node needs to have a token drawn.
  void fetch_row(NodeId id) {
    prefetch(node(id).row, vocab_size_ * (sizeof(double) + sizeof(NodeId)));
  }

  /// Runs the step on all nodes that are not known yet, at most `max_rows` at a time.
  void evaluate(std::size_t max_rows);

  /// The distribution after a known node, as `pick` takes it.
  std::span<const double> cumulative(NodeId id) {
    Node& of_id = node(id);
    if (of_id.prepared != options_number_) prepare(of_id);
    return distribution(of_id);
  }

  /// The probability with which `token` was drawn after a known node.
  double probability(NodeId id, std::int64_t token) {
    const auto cumulative = distribution(node(id));
    const auto place = static_cast<std::size_t>(token);
    return (cumulative[place] - (place > 0 ? cumulative[place - 1] : 0)) / cumulative.back();
  }

  /// `log_prob` plus the natural-log probability of `token` after a known node.
  double add_log_prob(double log_prob, NodeId id, std::int64_t token);

  /// Whether the nodes, and `more` bytes, are more than the cache may hold while strings are made:
  /// a quarter more than its share.
  bool is_full(std::size_t more) const {
    return bytes() + more > share_.bytes() + share_.bytes() / 4;
  }

  /// Forgets what is used least, but not `needed` nodes, so that a quarter of the share is free.
  void make_room(std::span<const NodeId> needed) { forget_rare(needed, 0.75); }

  /// The strings are finished: forgets what is more than the share.
  void end();

  std::size_t bytes() const;
  std::size_t node_bytes() const { return node_bytes(step_); }

  /// Bytes of a node of a cache over that step.
  static std::size_t node_bytes(const SnapshotStep& step);

 private:
  // The root: no node has it as its child, so it stands for none.
  static constexpr NodeId kRoot = 0, kNone = 0;

  struct Node {
    std::int64_t token, position;  // what the step is fed, and where
    NodeId parent;
    CommonPrefixes::Id common;   // among the model's common prefixes, if it is one
    std::uint64_t prepared = 0;  // the options that the distribution is for, by number
    double normalizer = 0;       // log_sum_exp of the logits, 0 before it is needed
    std::byte* row = nullptr;    // in rows_: distribution, children and logits, each (V,)
    bool known = false;
    bool owns_state = false;   // or will own, once it is known
    StateSnapshot state = {};  // null where it is the model's, or not kept
  };

  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }
  Node& node(NodeId id) { return nodes_[index(id)]; }
  std::span<double> distribution(const Node& node) const {
    return {reinterpret_cast<double*>(node.row), vocab_size_};
  }
  std::span<NodeId> children(const Node& node) const {
    return {reinterpret_cast<NodeId*>(node.row + vocab_size_ * sizeof(double)), vocab_size_};
  }
  std::span<float> logits(const Node& node) const {
    const std::size_t offset = vocab_size_ * (sizeof(double) + sizeof(NodeId));
    return {reinterpret_cast<float*>(node.row + offset), vocab_size_};
  }

  static std::size_t row_bytes(std::size_t vocab_size);
  NodeId find(NodeId parent, std::int64_t token);
  NodeId add(NodeId parent, std::int64_t token, std::int64_t position, CommonPrefixes::Id common);
  /// Those of common prefixes are not copied: each would be counted where it lies, far away.
  bool has_common_state(const Node& node) const {
    return node.common != CommonPrefixes::kNone && common_->has_state(node.common);
  }
  bool has_state(const Node& node) const {
    return is_stateless_ || node.state || has_common_state(node);
  }
  const StateSnapshot& state(const Node& node) const {
    return has_common_state(node) ? common_->state(node.common) : node.state;
  }
  void own_state(NodeId id);
  NodeId first_to_run(NodeId id);
  void prepare(Node& node);
  void clear();
  void forget_rare(std::span<const NodeId> needed, double part);
  void forget(NodeId id);
  void run_all(std::span<const NodeId> ids, std::size_t max_rows);
  void run(std::span<const NodeId> ids);
  void store(NodeId id, std::span<const float> logits, StateSnapshot state);

  SnapshotStep& step_;
  const bool is_stateless_;
  CacheShare share_;
  std::shared_ptr<const CommonPrefixes> common_;
  std::size_t vocab_size_;
  std::uint64_t options_number_ = 0;
  std::uint64_t times_forgotten_ = 0;
  std::size_t last_share_ = 0, last_common_ = 0;
  SamplingOptions options_;
  std::shared_ptr<const ExcludedTokens> excluded_;
  std::optional<Sampler> sampler_;
  LargeVector<Node> nodes_;
  NodeUses uses_;               // of each node; of a place in nodes_ that is free there are none
  std::vector<NodeId> free_;    // places in nodes_
  std::size_t own_states_ = 0;  // of nodes; the others' are the model's, or not kept
  RowPool rows_;
  std::vector<NodeId> unknown_;
  std::vector<NodeId> merged_;  // (positions, V) nodes, where the model has no state
};

}  // namespace makemore
