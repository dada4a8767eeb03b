#include "vector_math.h"

#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define MAKEMORE_X86
#include "x86_level.h"
#endif

namespace makemore {
namespace {

#define INLINE [[gnu::always_inline]] inline

template <class T, std::size_t Lanes>
struct VectorOf {
#ifdef __GNUC__
  typedef T Type __attribute__((vector_size(Lanes * sizeof(T))));
#endif
};
template <class T>
struct VectorOf<T, 1> {
  using Type = T;
};
#ifdef __GNUC__
constexpr std::size_t kLanes = 4;
#else
constexpr std::size_t kLanes = 1;
#endif

/// Of each lane 2^n e^r = e^x, where |r| <= log(2) / 2: Cody and Waite (1980), Software Manual for
/// the Elementary Functions, chapter 6. Of the Taylor series 14 terms are off by less than 2^-57.
template <std::size_t Lanes>
INLINE void exp_of_lanes(typename VectorOf<double, Lanes>::Type& x) {
  using Doubles = typename VectorOf<double, Lanes>::Type;
  using Words = typename VectorOf<std::uint64_t, Lanes>::Type;
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  constexpr double kLog2High = 0x1.62e42fefa3800p-1, kLog2Low = 0x1.ef35793c76730p-45;
  constexpr double kToInteger = 0x1.8p52;  // added, it leaves n in the low bits
  constexpr double kLowest = -708;
  constexpr double kTerms[] = {1.0 / 6227020800,
                               1.0 / 479001600,
                               1.0 / 39916800,
                               1.0 / 3628800,
                               1.0 / 362880,
                               1.0 / 40320,
                               1.0 / 5040,
                               1.0 / 720,
                               1.0 / 120,
                               1.0 / 24,
                               1.0 / 6,
                               1.0 / 2,
                               1.0,
                               1.0};
  const Doubles bounded = x < kLowest ? Doubles{} + kLowest : x;
  const Doubles shifted = bounded * kLog2E + kToInteger;
  const Doubles n = shifted - kToInteger;
  const Doubles r = bounded - n * kLog2High - n * kLog2Low;
  Doubles sum{};
  for (const double term : kTerms) sum = sum * r + term;
  Words bits, exponent;
  std::memcpy(&bits, &sum, sizeof bits);
  std::memcpy(&exponent, &shifted, sizeof exponent);
  bits += exponent << 52;
  std::memcpy(&sum, &bits, sizeof sum);
  x = x < kLowest ? Doubles{} : sum;
}

template <std::size_t Lanes>
INLINE void exp_of_each(double* x, std::size_t size) {
  using Doubles = typename VectorOf<double, Lanes>::Type;
  if (size == 0) return;
  double few[Lanes]{};
  if (size < Lanes) std::memcpy(few, x, size * sizeof(double));
  double* const last = size < Lanes ? few : x + size - Lanes;
  Doubles in_last, lanes;  // the last lanes may be among those before them, too
  std::memcpy(&in_last, last, sizeof in_last);
  for (double* from = x; size >= Lanes && from < last; from += Lanes) {
    std::memcpy(&lanes, from, sizeof lanes);
    exp_of_lanes<Lanes>(lanes);
    std::memcpy(from, &lanes, sizeof lanes);
  }
  exp_of_lanes<Lanes>(in_last);
  std::memcpy(last, &in_last, sizeof in_last);
  if (size < Lanes) std::memcpy(x, few, size * sizeof(double));
}

INLINE std::int64_t count(const double* values, std::size_t size, double limit) {
  std::int64_t found = 0;
  for (std::size_t i = 0; i < size; ++i) found += values[i] <= limit ? 1 : 0;
  return found;
}

struct Loops {
  void (*exp)(double*, std::size_t);
  std::int64_t (*count)(const double*, std::size_t, double);
};

constexpr Loops kAny{exp_of_each<kLanes>, count};
#ifdef MAKEMORE_X86
#define LOOPS(name, lanes, features)                                                          \
  [[gnu::target(features)]] void exp_##name(double* x, std::size_t size) {                    \
    exp_of_each<lanes>(x, size);                                                              \
  }                                                                                           \
  [[gnu::target(features)]] std::int64_t count_##name(const double* values, std::size_t size, \
                                                      double limit) {                         \
    return count(values, size, limit);                                                        \
  }                                                                                           \
  constexpr Loops name{exp_##name, count_##name};
LOOPS(by_avx2, 4, "avx2")
LOOPS(by_avx512, 8, "avx512f,avx512dq,avx512vl")
const Loops kLoops = x86_level() >= 4 ? by_avx512 : x86_level() >= 3 ? by_avx2 : kAny;
#else
constexpr Loops kLoops = kAny;
#endif

}  // namespace

void exp_of_negative(std::span<double> x) { kLoops.exp(x.data(), x.size()); }

std::int64_t count_up_to(std::span<const double> values, double limit) {
  return kLoops.count(values.data(), values.size(), limit);
}

}  // namespace makemore
