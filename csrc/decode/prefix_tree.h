#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace makemore {

/// Every prefix met in a batch, kept once: its last token and the prefix before it.
class Prefixes {
 public:
  static constexpr std::int64_t kEmpty = -1;

  /// The prefix that says `token` after `parent`.
  std::int64_t add(std::int64_t parent, std::int64_t token) {
    nodes_.push_back({parent, token});
    return static_cast<std::int64_t>(nodes_.size()) - 1;
  }

  std::size_t size() const { return nodes_.size(); }

  /// Appends the tokens of a prefix to `out` and returns how many they are.
  std::int64_t append_to(std::vector<std::int32_t>& out, std::int64_t prefix) const {
    const auto begin = static_cast<std::ptrdiff_t>(out.size());
    while (prefix != kEmpty) {
      const Node& node = nodes_[static_cast<std::size_t>(prefix)];
      out.push_back(static_cast<std::int32_t>(node.token));
      prefix = node.parent;
    }
    std::reverse(out.begin() + begin, out.end());
    return static_cast<std::int64_t>(out.size()) - begin;
  }

  /// A prefix of another batch.
  std::int64_t add_from(const Prefixes& other, std::int64_t prefix) {
    std::vector<std::int32_t> tokens;
    other.append_to(tokens, prefix);
    std::int64_t copy = kEmpty;
    for (const std::int32_t token : tokens) copy = add(copy, token);
    return copy;
  }

 private:
  struct Node {
    std::int64_t parent;
    std::int64_t token;
  };
  std::vector<Node> nodes_;
};

}  // namespace makemore
