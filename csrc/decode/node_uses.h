#pragma once

#include <algorithm>
#include <cstddef>

#include "memory_block.h"

namespace makemore {

/// How many strings came to each node of a prefix cache lately, or may be expected to have come: of
/// a node that they draw their way to, as many as came to where they began to draw, times the
/// probability of the way. That tells rare nodes apart long before a count does.
///
/// No node has more uses than its parent, through which each of its strings came.
class NodeUses {
 public:
  /// A node without uses, in the place of one that was removed, or at the end.
  void add(std::size_t node) {
    if (node == uses_.size()) uses_.emplace_back();
    uses_[node] = {.expected = 0, .count = 0};
  }

  void remove(std::size_t node) { uses_[node] = {.expected = kNone, .count = 0}; }
  bool has(std::size_t node) const { return uses_[node].expected != kNone; }
  std::size_t size() const { return uses_.size(); }
  void clear() { uses_.clear(); }

  /// A string begins here, or is forced on from here. Returns how many were.
  double count_begun(std::size_t node) {
    Uses& uses = uses_[node];
    uses.expected = std::max(uses.expected, ++uses.count);
    return uses.count;
  }

  /// A string drew its way here, as so many were expected to have done.
  void count_drawn(std::size_t node, double expected) {
    Uses& uses = uses_[node];
    uses.expected = std::max(uses.expected, expected);
    ++uses.count;
  }

  /// One string alone says nothing: any node is there because one came.
  double of(std::size_t node) const {
    return std::max(uses_[node].expected, uses_[node].count - 1);
  }

  /// What was common long ago gives way: Einziger et al. (2017), TinyLFU: A Highly Efficient Cache
  /// Admission Policy, section 3.3.
  void halve() {
    for (Uses& uses : uses_) {
      if (uses.expected != kNone) uses = {.expected = uses.expected / 2, .count = uses.count / 2};
    }
  }

 private:
  static constexpr double kNone = -1;

  struct Uses {
    double expected, count;
  };

  LargeVector<Uses> uses_;
};

}  // namespace makemore
