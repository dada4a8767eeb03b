#pragma once

#include <algorithm>
#include <cstddef>

#include "memory_block.h"

namespace makemore {

/// How many strings came to each node of a prefix cache lately, or may be expected to have come: of
/// a node that they draw their way to, as many as came to where they began to draw, times the
/// probability of the way. That tells rare nodes apart long before a count does. The first string
/// does not count: any node is there because one came.
///
/// Where each node has one parent, none has more uses than it: each string came through there.
class NodeUses {
 public:
  static constexpr std::size_t kBytes = 2 * sizeof(double);  // of a node

  /// A node without uses, in the place of one that was removed, or at the end.
  void add(std::size_t node) {
    if (node == uses_.size()) uses_.emplace_back();
    uses_[node] = {.expected = 0, .count = -1};
  }

  void remove(std::size_t node) { uses_[node] = {.expected = kNone, .count = 0}; }
  bool has(std::size_t node) const { return uses_[node].expected != kNone; }
  void clear() { uses_.clear(); }
  void reserve(std::size_t nodes) { uses_.reserve(nodes); }

  /// A string begins to draw here, or is forced on from here. Returns the uses of that kind.
  double count_begun(std::size_t node) { return ++uses_[node].count; }

  /// A string drew its way here, as so many were expected to have done.
  void count_drawn(std::size_t node, double expected) {
    Uses& uses = uses_[node];
    uses.expected = std::max(uses.expected, expected);
    ++uses.count;
  }

  double of(std::size_t node) const { return std::max(uses_[node].expected, uses_[node].count); }

  /// What was common long ago gives way: Einziger et al. (2017), TinyLFU: A Highly Efficient Cache
  /// Admission Policy, section 3.3. Not while strings are made, which know what to expect.
  void halve() {
    for (Uses& uses : uses_) {
      if (uses.expected != kNone) uses.expected /= 2;
      if (uses.count > 0) uses.count /= 2;
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
