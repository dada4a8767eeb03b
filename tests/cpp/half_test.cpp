#include "half.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace makemore;

TEST_CASE("every number of float16 is the same again after float32") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_of_half(half);
    if (value != value) continue;
    REQUIRE(half_of_float(value) == half);
  }
}

TEST_CASE("float16 has the values of IEEE 754's binary16") {
  CHECK(float_of_half(0x3c00) == 1.0f);
  CHECK(float_of_half(0xc000) == -2.0f);
  CHECK(float_of_half(0x3555) == 0.333251953125f);
  CHECK(float_of_half(0x7bff) == 65504.0f);
  CHECK(float_of_half(0x0400) == 0x1p-14f);
  CHECK(float_of_half(0x0001) == 0x1p-24f);
  CHECK(float_of_half(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(float_of_half(0x7e00)));
  CHECK(std::signbit(float_of_half(0x8000)));
}

TEST_CASE("what lies between two numbers becomes the nearer one, in the middle the even one") {
  for (std::uint16_t half = 0; half < 0x7bff; ++half) {
    const float low = float_of_half(half), high = float_of_half(half + 1),
                middle = (low + high) / 2;
    REQUIRE(half_of_float(std::nextafter(middle, low)) == half);
    REQUIRE(half_of_float(middle) == half + half % 2);
    REQUIRE(half_of_float(std::nextafter(middle, high)) == half + 1);
  }
  CHECK(half_of_float(65519.0f) == 0x7bff);
  CHECK(half_of_float(65520.0f) == 0x7c00);
  CHECK(half_of_float(-1e30f) == 0xfc00);
  CHECK(half_of_float(0x1p-26f) == 0);
  CHECK(std::isnan(float_of_half(half_of_float(std::nanf("")))));
}
