#include "node_uses.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

using namespace makemore;

namespace {

/// Strings over three tokens, whose nodes are counted.
class Strings {
 public:
  Strings() { uses_.add(0); }

  struct String {
    std::size_t node = 0, forced = 0, left = 0;
    std::optional<double> expected = {};
  };

  /// One more token, forced or drawn, as a cached decoder counts it.
  void add_token(String& string, std::mt19937& random) {
    constexpr double kProbability[] = {0.9, 0.08, 0.02};
    const double coin = std::uniform_real_distribution<double>()(random);
    const int token = coin < 0.9 ? 0 : coin < 0.98 ? 1 : 2;
    const bool is_drawn = string.forced == 0;
    if (!is_drawn || !string.expected) {
      const double begun = uses_.count_begun(string.node);
      if (is_drawn) string.expected = begun;
    }
    if (string.expected) *string.expected *= kProbability[token];
    string.node = child(string.node, token);
    if (string.expected) uses_.count_drawn(string.node, *string.expected);
    if (!is_drawn) --string.forced;
    --string.left;
  }

  void check() const {
    for (std::size_t node = 1; node < parents_.size(); ++node) {
      CHECK(uses_.of(node) <= uses_.of(parents_[node]));
    }
  }

  void halve() { uses_.halve(); }
  double of(std::size_t node) const { return uses_.of(node); }

 private:
  std::size_t child(std::size_t node, int token) {
    const auto [found, is_new] = children_.try_emplace({node, token}, parents_.size());
    if (is_new) {
      parents_.push_back(node);
      uses_.add(found->second);
    }
    return found->second;
  }

  NodeUses uses_;
  std::vector<std::size_t> parents_{0};
  std::map<std::pair<std::size_t, int>, std::size_t> children_;
};

}  // namespace

TEST_CASE("no node has more uses than its parent, whatever is forced, drawn and halved") {
  std::mt19937 random(3);
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  Strings strings;
  for (int call = 0; call < 60; ++call) {
    std::vector<Strings::String> open;
    const std::size_t forced = below(4);
    for (std::size_t i = below(40) + 1; i > 0; --i) {
      open.push_back({.forced = below(2) * forced, .left = below(6) + 1});
    }
    while (!open.empty()) {  // in any order
      auto& string = open[below(open.size())];
      strings.add_token(string, random);
      if (string.left == 0) std::swap(string, open.back()), open.pop_back();
      strings.check();
    }
    if (below(3) == 0) strings.halve();
    strings.check();
  }
  CHECK(strings.of(0) > 1);
}

TEST_CASE("likely nodes have more uses than unlikely ones that were used as often") {
  NodeUses uses;
  for (std::size_t node = 0; node < 3; ++node) uses.add(node);
  double begun = 0;
  for (int i = 0; i < 101; ++i) begun = uses.count_begun(0);
  CHECK(begun == 100);
  uses.count_drawn(1, 0.5 * begun);
  uses.count_drawn(2, 0.001 * begun);
  CHECK(uses.of(1) == 50);
  CHECK(uses.of(2) == doctest::Approx(0.1));
  for (int i = 0; i < 9; ++i) uses.count_drawn(2, 0.001 * begun);
  CHECK(uses.of(2) == 9);  // a count that is higher than expected tells more
  uses.halve();
  CHECK(uses.of(0) == 50);
  CHECK(uses.of(1) == 25);
  uses.remove(2);
  CHECK(!uses.has(2));
  uses.halve();
  CHECK(!uses.has(2));
  uses.add(2);
  CHECK(uses.of(2) <= 0);
}
