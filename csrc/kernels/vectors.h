// Vectors of the widest kind that the processor has which this is compiled for.
//
// For files that are compiled once for each kind of processor: all names are local to each.
#pragma once

#include <cstddef>
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

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
using Signed = VectorOf<std::int32_t, kLanes>::Type;

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

INLINE float widened(std::uint16_t half) {
#if defined(__AVX2__)
  return _cvtsh_ss(half);
#else
  __fp16 number;
  __builtin_memcpy(&number, &half, sizeof(half));
  return number;
#endif
}

INLINE std::uint16_t narrowed(float value) {
#if defined(__AVX2__)
  const __m128i half = _mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT);
  return static_cast<std::uint16_t>(_mm_cvtsi128_si32(half));
#else
  const auto number = static_cast<__fp16>(value);
  std::uint16_t half;
  __builtin_memcpy(&half, &number, sizeof(half));
  return half;
#endif
}

#if defined(__AVX512F__)
constexpr __mmask16 kAll = 0xffff;  // given only so that GCC 12 gives no false warning
#endif

/// Of numbers in float16.
template <std::size_t Lanes = kLanes>
INLINE Floats<Lanes> load(const std::uint16_t* from) {
#if defined(__AVX512F__)
  if constexpr (Lanes == 16) {
    __m256i halves;
    __builtin_memcpy(&halves, from, sizeof(halves));
    return _mm512_maskz_cvtph_ps(kAll, halves);
  }
#endif
#if defined(__AVX2__)
  if constexpr (Lanes == 8) {
    __m128i halves;
    __builtin_memcpy(&halves, from, sizeof(halves));
    return _mm256_cvtph_ps(halves);
  }
#elif defined(__ARM_NEON)
  if constexpr (Lanes == 4) {
    float16x4_t halves;
    __builtin_memcpy(&halves, from, sizeof(halves));
    return vcvt_f32_f16(halves);
  }
#endif
  Floats<Lanes> vector;
  for (std::size_t i = 0; i < Lanes; ++i) vector[i] = widened(from[i]);
  return vector;
}

/// Of whole numbers, each as many as a vector has lanes.
INLINE Vector load(const std::int8_t* from) {
#if defined(__AVX512F__)
  __m128i bytes;
  __builtin_memcpy(&bytes, from, sizeof(bytes));
  return _mm512_maskz_cvtepi32_ps(kAll, _mm512_maskz_cvtepi8_epi32(kAll, bytes));
#elif defined(__AVX2__)
  std::int64_t bytes;
  __builtin_memcpy(&bytes, from, sizeof(bytes));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bytes)));
#else
  Vector vector;
  for (std::size_t i = 0; i < kLanes; ++i) vector[i] = from[i];
  return vector;
#endif
}

/// Of a vector the first `count` lanes, or all where there are not so many.
INLINE void store_some(float* to, Vector vector, std::size_t count) {
  if (count >= kLanes) return store(to, vector);
  __builtin_memcpy(to, &vector, count * sizeof(float));
}

/// `count` floats and then zeros, or a whole vector.
INLINE Vector load_some(const float* from, std::size_t count) {
  if (count >= kLanes) return load(from);
  Vector vector{};
  __builtin_memcpy(&vector, from, count * sizeof(float));
  return vector;
}

template <class To, class From>
INLINE To bits(From from) {
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

/// A vector of `To` lanes: the halves are combined, then the halves of that, and so on.
template <class T, std::size_t To, std::size_t Lanes, class Combine>
INLINE typename VectorOf<T, To>::Type folded(typename VectorOf<T, Lanes>::Type vector,
                                             Combine combine) {
  if constexpr (Lanes == To) {
    return vector;
  } else {
    typename VectorOf<T, Lanes / 2>::Type halves[2];
    __builtin_memcpy(halves, &vector, sizeof(vector));
    return folded<T, To, Lanes / 2>(combine(halves[0], halves[1]), combine);
  }
}

/// One number of all lanes.
template <class T, std::size_t Lanes, class Combine>
INLINE T reduced(typename VectorOf<T, Lanes>::Type vector, Combine combine) {
  return folded<T, 1, Lanes>(vector, combine)[0];
}

struct Add {
  template <class Values>
  INLINE Values operator()(Values a, Values b) const {
    return a + b;
  }
};

struct Larger {
  template <class Values>
  INLINE Values operator()(Values a, Values b) const {
    return a > b ? a : b;
  }
};

template <std::size_t Lanes>
INLINE float sum(Floats<Lanes> vector) {
  return reduced<float, Lanes>(vector, Add());
}

/// A number in all lanes. To take zero from it changes nothing, of -0 either, and costs nothing.
INLINE Vector splat(float number) { return number - Vector{}; }

/// a * b + c, rounded once whatever surrounds it: where a compiler may choose, it may choose
/// otherwise for another number of rows.
INLINE Vector fused(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return vfmaq_f32(c, a, b);
#endif
}

}  // namespace
}  // namespace makemore
