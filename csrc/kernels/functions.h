// Functions of each lane of a vector: powers of two, logarithms, activations.
//
// For files that are compiled once for each kind of processor: all names are local to each.
#pragma once

#include "vectors.h"

namespace makemore {
namespace {

/// 1 / x to a unit or two in the last place; x is finite.
INLINE Vector reciprocal(Vector x) {
#if defined(__AVX512F__)
  const Vector y = _mm512_maskz_rcp14_ps(kAll, x);
  return y + y * (1.0f - x * y);  // Newton's method
#else
  return 1.0f / x;
#endif
}

/// 2^x to a unit or two in the last place, 2^126 above that; below 2^-126 it is as good as 0; of
/// NaN, NaN.
INLINE Vector exp2(Vector x) {
#if defined(__AVX512F__)
  x = _mm512_maskz_min_ps(kAll, Vector{} + 126.0f, x);  // the second one where either is NaN
  const Vector n =
      _mm512_maskz_roundscale_ps(kAll, x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: added, it leaves n in the low bits
  x = x > 126.0f ? Vector{} + 126.0f : x;
  x = x < -126.0f ? Vector{} - 126.0f : x;
  const Vector shifted = x + kToInteger;
  const Vector n = shifted - kToInteger;
#endif
  const Vector r = x - n;  // in [-1/2, 1/2], where a polynomial of Remez is off by 7.5e-8
  Vector p = r * 1.3276472e-3f + 9.67554133e-3f;
  p = p * r + 5.55071327e-2f;
  p = p * r + 2.40221197e-1f;
  p = p * r + 6.93146967e-1f;
  p = p * r + 1.00000007f;
#if defined(__AVX512F__)
  return _mm512_maskz_scalef_ps(kAll, p, n);
#else
  const Vector power = bits<Vector>(bits<Integers>(p) + (bits<Integers>(shifted) << 23));
  return x == x ? power : x;
#endif
}

constexpr float kLog2E = 1.44269504f;

/// x (1 + tanh(u)) / 2 = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3): Hendrycks and Gimpel
/// (2016), Gaussian Error Linear Units, section 2.
INLINE Vector gelu_tanh(Vector x) {
  return x * reciprocal(1.0f + exp2(x * (-2.30220819f - 0.102943240f * (x * x))));
}

/// x Phi(x), with Phi from the complementary error function of Abramowitz and Stegun (1964),
/// formula 7.1.26, which is off by 1.5e-7.
INLINE Vector gelu(Vector x) {
  const Vector z = (x < 0.0f ? -x : x) * 0.707106781f;
  const Vector t = reciprocal(1.0f + 0.3275911f * z);
  Vector p = t * 1.061405429f - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Vector tail = 0.5f * (p * t) * exp2(z * z * -kLog2E);  // Phi(-|x|)
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

INLINE Vector relu(Vector x) { return x < 0.0f ? Vector{} : x; }

/// 1 / (1 + e^-x), off by 1e-7.
INLINE Vector sigmoid(Vector x) { return reciprocal(1.0f + exp2(x * -kLog2E)); }

/// x / (1 + e^-x).
INLINE Vector silu(Vector x) { return x * sigmoid(x); }

/// 2 / (1 + e^-2x) - 1, off by 2e-7.
INLINE Vector tanh(Vector x) { return 2.0f * reciprocal(1.0f + exp2(x * (-2 * kLog2E))) - 1.0f; }

/// The natural logarithm of what is at least 2^-126, off by 2e-7 and two units in the last place;
/// of all that is less, minus infinity; of NaN, NaN.
INLINE Vector log(Vector x) {
  constexpr std::uint32_t kHalfRoot = 0x3f3504f3;  // sqrt(1 / 2): the mantissa is taken from there
  const Integers shifted = bits<Integers>(x) - kHalfRoot;
  const auto exponent = bits<Signed>(shifted) >> 23;
  const Vector m = bits<Vector>(bits<Integers>(x) - (bits<Integers>(exponent) << 23)) - 1.0f;
  // log((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| < 0.172
  const Vector s = m / (2.0f + m), t = s * s;
  const Vector series =
      2.0f * s * (1.0f + t * (0.333333333f + t * (0.2f + t * (0.142857143f + t * 0.111111111f))));
  const Vector sum = __builtin_convertvector(exponent, Vector) * 0.693147181f + series;
  const Vector known = x < 1.17549435e-38f ? Vector{} - __builtin_inff() : sum;
  return x == x ? known : x;
}

}  // namespace
}  // namespace makemore
