// Products of int8 weights with inputs rounded to 16 bits, in whole numbers: for processors with
// AVX512-VNNI, which add four products of bytes where they add one of floats. An input is two
// bytes, so that two such instructions take the place of four. See linear.h for what holds for this
// code.
//
// Whole numbers for the inputs, a scale for each row: Dettmers et al. (2022), LLM.int8(): 8-bit
// Matrix Multiplication for Transformers at Scale, section 2.1; here a row has 65,279 steps, not
// 255, so that logits move by some 0.0001.
#pragma once

#include "linear_data.h"
#include "vectors.h"

namespace makemore::kernels {
namespace {

#if defined(__AVX512F__)
#define VNNI [[gnu::target("avx512vnni")]]

constexpr float kHighest = 127 * 256 + 127;

/// A row of inputs that are infinite or NaN has such a scale, and so have its products.
INLINE void round_inputs(const float* x, std::size_t count, RoundedRow& row) {
  Integers largest{};  // the bits of floats without a sign are in the order of the floats
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Integers magnitude = bits<Integers>(load_some(x + i, count - i)) & 0x7fffffffu;
    largest = Larger()(magnitude, largest);
  }
  const auto highest = bits<float>(reduced<std::uint32_t, kLanes>(largest, Larger()));
  row.scale = highest / kHighest;
  const float inverse = highest > 1e-30f ? kHighest / highest : 0.0f;  // less is as good as 0
  Signed sums{};
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Vector scaled = load_some(x + i, count - i) * inverse;
    const __mmask16 known = _mm512_cmp_ps_mask(scaled, scaled, _CMP_ORD_Q);  // not NaN
    const auto number = bits<Signed>(_mm512_maskz_cvtps_epi32(known, scaled));
    const Signed low = number << 24 >> 24, high = (number - low) >> 8;
    const __m128i lows = _mm512_maskz_cvtepi32_epi8(kAll, bits<__m512i>(low));
    const __m128i highs = _mm512_maskz_cvtepi32_epi8(kAll, bits<__m512i>(high));
    __builtin_memcpy(row.low + i, &lows, sizeof(lows));
    __builtin_memcpy(row.high + i, &highs, sizeof(highs));
    sums += number;
  }
  row.sum = reduced<std::int32_t, kLanes>(sums, Add());
}

/// Adds the products of four weights of each lane with four inputs.
VNNI INLINE Signed add_four(Signed sums, Signed weights, const std::int8_t* inputs) {
  std::int32_t four;
  __builtin_memcpy(&four, inputs, sizeof(four));
  return (Signed)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(four));
}

/// The products of `Rows` rows with weights (groups of four inputs, vectors, lanes, 4), each higher
/// than it is by kByteOffset.
template <std::size_t Rows, std::size_t Vectors>
VNNI INLINE void multiply_rounded(const RoundedRow* rows, std::size_t groups,
                                  const std::uint8_t* weights, Vector (&products)[Rows][Vectors]) {
  Signed high[Rows][Vectors], low[Rows][Vectors];
  for (std::size_t row = 0; row < Rows; ++row) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      const std::int32_t excess = kByteOffset * rows[row].sum;  // what the offset adds
      high[row][v] = Signed{} - (excess >> 8);
      low[row][v] = Signed{} - (excess & 255);
    }
  }
  for (std::size_t group = 0; group < groups; ++group) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      Signed weight;
      __builtin_memcpy(&weight, weights + (group * Vectors + v) * sizeof(weight), sizeof(weight));
      for (std::size_t row = 0; row < Rows; ++row) {
        high[row][v] = add_four(high[row][v], weight, rows[row].high + 4 * group);
        low[row][v] = add_four(low[row][v], weight, rows[row].low + 4 * group);
      }
    }
  }
#pragma GCC unroll 3
  for (std::size_t row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < Vectors; ++v) {
      const Vector whole = __builtin_convertvector(high[row][v], Vector) * 256.0f +
                           __builtin_convertvector(low[row][v], Vector);
      products[row][v] = whole * rows[row].scale;
    }
  }
}
#endif

}  // namespace
}  // namespace makemore::kernels
