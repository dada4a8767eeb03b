#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sampler.h"
#include "step.h"

namespace makemore {

/// What a step says after the prefixes met so far, kept from one call to the next: a tree of nodes
/// by the tokens that lead from one to the other.
///
/// A node is a prefix. Where a model has no state, prefixes of one length that end in the same
/// token are one node: a step cannot tell them apart either. A node is `known` once `evaluate` has
/// run the step on it. Results never depend on what is kept.
class PrefixCache {
 public:
  using Node = std::int32_t;

  /// Bytes past which, before the next strings are begun, what was met least is forgotten.
  static constexpr std::size_t kLimit = std::size_t{64} << 20;

  /// The step must outlive the cache, and be able to save its rows.
  explicit PrefixCache(Step& step);

  /// The empty prefix, from which strings are chosen by `options`. Nothing else may use the step
  /// until they are done.
  Node begin(const SamplingOptions& options);

  bool known(Node node) const { return facts_[index(node)].known; }

  /// The node that `token` leads to, made if need be. `node` must be known.
  Node child(Node node, std::int64_t token) {
    Node child = children_[at(node, token)];
    if (child == kNone) {
      child = find(node, token);
      children_[at(node, token)] = child;
    }
    ++facts_[index(child)].met;
    return child;
  }

  /// Runs the step on all nodes that are not known yet, at most `rows` at once.
  void evaluate(std::size_t rows);

  /// The distribution after a known node, as `pick` takes it.
  std::span<const double> cumulative(Node node);

  /// The natural-log probability of `token` after a known node, added to `log_prob`.
  double add_log_prob(double log_prob, Node node, std::int64_t token);

  /// Bytes of all nodes.
  std::size_t bytes() const { return facts_.size() * node_bytes(); }
  std::size_t node_bytes() const;

 private:
  static constexpr Node kNone = -1;

  struct Facts {
    std::int64_t token, position;  // what the step was fed last, and where
    Node parent;
    bool known = false;
    std::uint32_t met = 0;       // how often strings came by, lately
    std::uint64_t prepared = 0;  // the options that the distribution is for, by number
    double normalizer = 0;       // log_sum_exp of the logits, 0 before it is asked for
    StateSnapshot state;         // once it is known
  };

  static std::size_t index(Node node) { return static_cast<std::size_t>(node); }
  std::size_t at(Node node, std::int64_t token) const {
    return index(node) * vocab_size_ + static_cast<std::size_t>(token);
  }

  Node find(Node node, std::int64_t token);
  Node add(Node parent, std::int64_t token, std::int64_t position);
  void run(std::span<const Node> nodes);
  void learn(Node node, std::span<const float> logits, StateSnapshot state);
  void forget_rare();
  void forget();

  Step& step_;
  std::size_t vocab_size_;
  std::uint64_t options_number_ = 0;
  std::uint64_t forgotten_ = 0;  // how often something was
  SamplingOptions options_;
  std::optional<Sampler> sampler_;
  std::vector<Facts> facts_;        // parents before their children
  std::vector<float> logits_;       // (nodes, V)
  std::vector<double> cumulative_;  // (nodes, V)
  std::vector<Node> children_;      // (nodes, V)
  std::vector<Node> unknown_;
  std::vector<Node> merged_;  // (positions, V), where the model has no state
};

}  // namespace makemore
