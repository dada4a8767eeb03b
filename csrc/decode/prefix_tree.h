#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory_block.h"

namespace makemore {

/// The prefixes that a batch reaches, each stored once: its last token and the prefix before it.
class PrefixTree {
 public:
  using Prefix = std::int32_t;
  static constexpr Prefix kEmpty = -1;

  /// The prefix of `token` after `parent`.
  Prefix add(Prefix parent, std::int64_t token) {
    nodes_.push_back({parent, static_cast<std::int32_t>(token)});
    return static_cast<Prefix>(nodes_.size()) - 1;
  }

  std::size_t size() const { return nodes_.size(); }

  /// Appends the tokens of a prefix to `out` and returns their number.
  std::size_t append_to(LargeVector<std::int32_t>& out, Prefix prefix) const {
    const std::size_t begin = out.size();
    while (prefix != kEmpty) {
      const Node& node = nodes_[static_cast<std::size_t>(prefix)];
      out.push_back(node.token);
      prefix = node.parent;
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end());
    return out.size() - begin;
  }

  /// Adds a prefix of another tree.
  Prefix add_from(const PrefixTree& other, Prefix prefix) {
    copied_.clear();
    other.append_to(copied_, prefix);
    Prefix copy = kEmpty;
    for (const std::int32_t token : copied_) copy = add(copy, token);
    return copy;
  }

 private:
  struct Node {
    Prefix parent;
    std::int32_t token;
  };
  LargeVector<Node> nodes_;
  LargeVector<std::int32_t> copied_;  // tokens of a prefix, while it is copied
};

}  // namespace makemore
