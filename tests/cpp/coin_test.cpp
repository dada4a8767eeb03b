#include "coin.h"

#include <doctest/doctest.h>

#include <array>

using namespace makemore;

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

// Random123, tests/kat_vectors, philox4x32 with 10 rounds.
TEST_CASE("philox gives the known answers of Random123") {
  CHECK(philox4x32(Counter{0, 0, 0, 0}, Key{0, 0}) ==
        Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32(Counter{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                   Key{0xffffffff, 0xffffffff}) ==
        Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32(Counter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   Key{0xa4093822, 0x299f31d0}) ==
        Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a coin is made of the upper 53 bits of the first two words") {
  CHECK(coin(0, 0, 0) == static_cast<double>(0xe169c58d6627e8d5 >> 11) * 0x1p-53);
}

TEST_CASE("both halves of seed and row count, and the position") {
  const double known = coin(1, 2, 3);
  CHECK(coin(1, 2, 3) == known);
  CHECK(coin(2, 2, 3) != known);
  CHECK(coin(1 | std::uint64_t{1} << 32, 2, 3) != known);
  CHECK(coin(1, 3, 3) != known);
  CHECK(coin(1, 2 | std::uint64_t{1} << 32, 3) != known);
  CHECK(coin(1, 2, 4) != known);
}
