#include "prefix_tree.h"

#include <doctest/doctest.h>

using namespace makemore;

TEST_CASE("prefixes share what they have in common and are read back from the front") {
  PrefixTree prefixes;
  const auto a = prefixes.add(PrefixTree::kEmpty, 1);
  const auto ab = prefixes.add(a, 2);
  const auto ac = prefixes.add(a, 3);
  LargeVector<std::int32_t> out;
  CHECK(prefixes.append_to(out, ab) == 2);
  CHECK(prefixes.append_to(out, PrefixTree::kEmpty) == 0);
  CHECK(prefixes.append_to(out, ac) == 2);
  CHECK(prefixes.append_to(out, a) == 1);
  CHECK(out == LargeVector<std::int32_t>{1, 2, 1, 3, 1});
}

TEST_CASE("a prefix of another batch is copied whole") {
  PrefixTree one, other;
  const auto abc = one.add(one.add(one.add(PrefixTree::kEmpty, 1), 2), 3);
  LargeVector<std::int32_t> out;
  other.append_to(out, other.add_from(one, abc));
  CHECK(out == LargeVector<std::int32_t>{1, 2, 3});
  CHECK(other.add_from(one, PrefixTree::kEmpty) == PrefixTree::kEmpty);
}
