#include "vector_math.h"

#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define MAKEMORE_AVX2
#include "x86_level.h"
#endif

namespace makemore {
namespace {

#define INLINE [[gnu::always_inline]] inline

#ifdef __GNUC__
constexpr std::size_t kLanes = 4;
typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef std::uint64_t Words __attribute__((vector_size(kLanes * sizeof(double))));
#else
constexpr std::size_t kLanes = 1;
using Doubles = double;
using Words = std::uint64_t;
#endif

/// Of each lane 2^n e^r = e^x, where |r| <= log(2) / 2: Cody and Waite (1980), Software Manual for
/// the Elementary Functions, chapter 6. Of the Taylor series 14 terms are off by less than 2^-57.
INLINE void exp_of_lanes(double* values) {
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
  Doubles x;
  std::memcpy(&x, values, sizeof x);
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
  sum = x < kLowest ? Doubles{} : sum;
  std::memcpy(values, &sum, sizeof sum);
}

INLINE void exp_of_each(double* x, std::size_t size) {
  for (; size >= kLanes; x += kLanes, size -= kLanes) exp_of_lanes(x);
  if (size == 0) return;
  double last[kLanes]{};
  std::memcpy(last, x, size * sizeof(double));
  exp_of_lanes(last);
  std::memcpy(x, last, size * sizeof(double));
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

constexpr Loops kAny{exp_of_each, count};
#ifdef MAKEMORE_AVX2
[[gnu::target("avx2")]] void exp_by_avx2(double* x, std::size_t size) { exp_of_each(x, size); }
[[gnu::target("avx2")]] std::int64_t count_by_avx2(const double* values, std::size_t size,
                                                   double limit) {
  return count(values, size, limit);
}
const Loops kLoops = x86_level() >= 3 ? Loops{exp_by_avx2, count_by_avx2} : kAny;
#else
constexpr Loops kLoops = kAny;
#endif

}  // namespace

void exp_of_negative(std::span<double> x) { kLoops.exp(x.data(), x.size()); }

std::int64_t count_up_to(std::span<const double> values, double limit) {
  return kLoops.count(values.data(), values.size(), limit);
}

}  // namespace makemore
