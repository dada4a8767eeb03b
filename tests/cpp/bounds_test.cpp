#include "bounds.h"

#include <doctest/doctest.h>

#include <cstdint>

using makemore::checked_product;

TEST_CASE("a product that fits is the product") {
  CHECK(checked_product({}) == 1);
  CHECK(checked_product({7}) == 7);
  CHECK(checked_product({2, 3, 5}) == 30);
  CHECK(checked_product({0, 3}) == 0);
  CHECK(checked_product({std::size_t{1} << 31, (std::size_t{1} << 31)}) == std::size_t{1} << 62);
}

TEST_CASE("a product that no memory holds is nothing") {
  constexpr std::size_t kHalf = std::size_t{1} << 32;
  CHECK(!checked_product({kHalf, kHalf}));      // wraps to 0
  CHECK(!checked_product({kHalf, kHalf, 16}));  // and stays there
  CHECK(!checked_product({kHalf, kHalf / 2}));  // fits, but is the size of no vector
  CHECK(!checked_product({static_cast<std::size_t>(std::int64_t{-1})}));
  CHECK(!checked_product({static_cast<std::size_t>(std::int64_t{-1}),
                          static_cast<std::size_t>(std::int64_t{-1})}));  // wraps to 1
}
