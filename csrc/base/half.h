#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// Numbers of float16, IEEE 754's binary16: a sign, 5 bits of exponent, 10 of mantissa.
namespace makemore {

inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half} >> 15 << 31;
  const std::uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 0) {
    const float size = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -size : size;
  }
  const std::uint32_t shifted = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | shifted << 23 | mantissa << 13);
}

/// The nearest one, of two as near the even one.
inline std::uint16_t half_of_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 31 << 15;
  const float size = std::fabs(value);
  std::uint32_t half = 0x7c00;  // infinity
  if (value != value) {
    half = 0x7e00;
  } else if (size < 0x1p-14f) {
    half = static_cast<std::uint32_t>(std::nearbyint(size * 0x1p24f));
  } else if (size < 65520) {
    const std::uint32_t magnitude = bits & 0x7fffffff;
    half = ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - (112U << 10);
  }
  return static_cast<std::uint16_t>(sign | half);
}

}  // namespace makemore
