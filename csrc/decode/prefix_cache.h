#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sampler.h"
#include "snapshot_step.h"

namespace makemore {

/// What a step says after the prefixes met so far, kept from one call to the next: a tree of nodes
/// by the tokens that lead from one to the other.
///
/// A node is a prefix. Where a model has no state, prefixes of one length that end in the same
/// token are one node: a step cannot tell them apart either. A node is `known` once `evaluate` has
/// run the step on it. Results never depend on what is kept.
class PrefixCache {
 public:
  using NodeId = std::int32_t;

  /// Bytes past which, before the next strings are begun, what was met least is forgotten.
  static constexpr std::size_t kLimit = std::size_t{64} << 20;

  /// The step must outlive the cache, and be able to save its rows.
  explicit PrefixCache(SnapshotStep& step);

  /// The empty prefix, from which strings are chosen by `options`. Nothing else may use the step
  /// until they are done.
  NodeId begin(const SamplingOptions& options);

  bool is_known(NodeId node) const { return nodes_[index(node)].known; }

  /// The node that `token` leads to, made if need be. `node` must be known.
  NodeId child(NodeId node, std::int64_t token) {
    NodeId child = children_[at(node, token)];
    if (child == kNone) {
      child = find(node, token);
      children_[at(node, token)] = child;
    }
    ++nodes_[index(child)].met;
    return child;
  }

  /// Runs the step on all nodes that are not known yet, at most `rows` at once.
  void evaluate(std::size_t rows);

  /// The distribution after a known node, as `pick` takes it.
  std::span<const double> cumulative(NodeId node);

  /// The natural-log probability of `token` after a known node, added to `log_prob`.
  double add_log_prob(double log_prob, NodeId node, std::int64_t token);

  /// Bytes of all nodes.
  std::size_t bytes() const { return nodes_.size() * node_bytes(); }
  std::size_t node_bytes() const;

 private:
  static constexpr NodeId kNone = -1;

  struct Node {
    std::int64_t token, position;  // what the step was fed last, and where
    NodeId parent;
    bool known = false;
    std::uint32_t met = 0;       // how often strings came by, lately
    std::uint64_t prepared = 0;  // the options that the distribution is for, by number
    double normalizer = 0;       // log_sum_exp of the logits, 0 before it is asked for
    StateSnapshot state;         // once it is known
  };

  static std::size_t index(NodeId node) { return static_cast<std::size_t>(node); }
  std::size_t at(NodeId node, std::int64_t token) const {
    return index(node) * vocab_size_ + static_cast<std::size_t>(token);
  }

  NodeId find(NodeId node, std::int64_t token);
  NodeId add(NodeId parent, std::int64_t token, std::int64_t position);
  void run(std::span<const NodeId> nodes);
  void learn(NodeId node, std::span<const float> logits, StateSnapshot state);
  void forget_rare();
  void forget();

  SnapshotStep& step_;
  std::size_t vocab_size_;
  std::uint64_t options_number_ = 0;
  std::uint64_t forgotten_ = 0;  // how often something was
  SamplingOptions options_;
  std::optional<Sampler> sampler_;
  std::vector<Node> nodes_;         // parents before their children
  std::vector<float> logits_;       // (nodes, V)
  std::vector<double> cumulative_;  // (nodes, V)
  std::vector<NodeId> children_;    // (nodes, V)
  std::vector<NodeId> unknown_;
  std::vector<NodeId> merged_;  // (positions, V), where the model has no state
};

}  // namespace makemore
