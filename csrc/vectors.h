// Vectors as wide as the processor that this is compiled for has them.
//
// Of use to files that are compiled once for each kind of processor: all names are local to each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace makemore {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 16;
#elif defined(__AVX2__)
constexpr std::size_t kLanes = 8;
#else
constexpr std::size_t kLanes = 4;
#endif

template <class T, std::size_t Lanes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(Lanes * sizeof(T))));
};
template <std::size_t Lanes>
using Floats = typename VectorOf<float, Lanes>::Type;
using Vector = Floats<kLanes>;
using Integers = VectorOf<std::uint32_t, kLanes>::Type;

#define INLINE [[gnu::always_inline]] inline

template <std::size_t Lanes = kLanes>
INLINE Floats<Lanes> load(const float* from) {
  Floats<Lanes> vector;
  __builtin_memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <class Values>
INLINE void store(float* to, Values vector) {
  __builtin_memcpy(to, &vector, sizeof(vector));
}

template <class To, class From>
INLINE To bits(From from) {
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

/// Of all lanes, half onto half.
template <std::size_t Lanes>
INLINE float sum(Floats<Lanes> vector) {
  if constexpr (Lanes == 1) {
    return vector[0];
  } else {
    Floats<Lanes / 2> halves[2];
    __builtin_memcpy(halves, &vector, sizeof(vector));
    return sum<Lanes / 2>(halves[0] + halves[1]);
  }
}

/// e^x to a unit in the last place; e^-87 below, e^88 above. 2^n by its bits, e^r by a polynomial.
INLINE Vector exp(Vector x) {
  constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: added, it leaves n in the low bits
  x = x < -87.0f ? Vector{} - 87.0f : x;
  x = x > 88.0f ? Vector{} + 88.0f : x;
  const Vector shifted = x * 1.44269504f + kToInteger;
  const Vector n = shifted - kToInteger;
  const Vector r = x - n * 0.693145752f - n * 1.42860677e-6f;
  Vector p = r * 1.98756915e-4f + 1.39819995e-3f;
  p = p * r + 8.33345205e-3f;
  p = p * r + 4.16657962e-2f;
  p = p * r + 1.66666655e-1f;
  p = p * r + 5.00000012e-1f;
  p = p * r * r + r + 1.0f;
  return bits<Vector>(bits<Integers>(p) + (bits<Integers>(shifted) << 23));
}

/// x (1 + tanh(u)) / 2 = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
INLINE Vector gelu(Vector x) {
  return x / (1.0f + exp(x * (-1.59576912f - 0.0713548163f * (x * x))));
}

}  // namespace
}  // namespace makemore
