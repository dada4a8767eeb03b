#include "vector_math.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace makemore;

TEST_CASE("e^x is that of the library to two units in the last place, in every lane") {
  for (const double from : {0.0, -1e-300, -1e-9, -0.3, -1.0, -30.0, -700.0, -707.0}) {
    std::vector<double> x;
    for (int i = 0; i < 103; ++i) x.push_back(from * (1 + i / 1e5));
    auto powers = x;
    exp_of_negative(powers);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(x[i]);
      CHECK(std::abs(powers[i] - expected) <=
            2 * std::numeric_limits<double>::epsilon() * expected);
    }
  }
}

// A seed gives the same strings on every processor because these bits are the same.
TEST_CASE("e^x has the same bits on every processor, alone and among others") {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a, of the bits as words
  for (std::size_t size = 1; size <= 40; ++size) {
    std::vector<double> powers;
    for (std::size_t i = 0; i < size; ++i) {
      powers.push_back(static_cast<double>(377 * i * size + size) / -1024);  // exact anywhere
    }
    const auto x = powers;
    exp_of_negative(powers);
    for (std::size_t i = 0; i < size; ++i) {
      std::vector<double> alone{x[i]};
      exp_of_negative(alone);
      CHECK(alone[0] == powers[i]);
      hash = (hash ^ std::bit_cast<std::uint64_t>(powers[i])) * 1099511628211u;
    }
  }
  CHECK(hash == 7678440149476684409u);
}

TEST_CASE("e^0 is 1, and what is out of reach is 0") {
  std::vector<double> x{0, -0.0, -708.1, -1e300, -std::numeric_limits<double>::infinity()};
  exp_of_negative(x);
  CHECK(x == std::vector<double>{1, 1, 0, 0, 0});
  exp_of_negative({});
}

TEST_CASE("values up to a limit are counted, those that equal it too") {
  std::vector<double> values;
  for (int i = 0; i < 70; ++i) {
    CHECK(count_up_to(values, 1e9) == i);
    CHECK(count_up_to(values, -1) == 0);
    CHECK(count_up_to(values, 30) == std::min(i, 31));
    CHECK(count_up_to(values, 30.5) == std::min(i, 31));
    values.push_back(i);
  }
}
