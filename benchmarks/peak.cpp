// What one core can do at most: fused multiply-adds of whole vectors that lie in registers.

#include <cstddef>
#include <cstdint>

#if defined(__AVX512F__)
constexpr std::size_t kBytes = 64;
#elif defined(__AVX__)
constexpr std::size_t kBytes = 32;
#else
constexpr std::size_t kBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kBytes)));
constexpr std::size_t kSums = 12;  // enough that none waits for the one before it

/// The operations of `times` rounds: two a number.
extern "C" std::int64_t multiply_and_add(std::int64_t times, float* numbers) {
  const Vector a = Vector{} + numbers[0], b = Vector{} + numbers[1];
  Vector sums[kSums];  // each begins with another number, else the compiler makes one of them
  for (std::size_t k = 0; k < kSums; ++k) sums[k] = b * static_cast<float>(k);
  for (std::int64_t i = 0; i < times; ++i) {
    for (std::size_t k = 0; k < kSums; ++k) sums[k] = sums[k] * a + b;
  }
  Vector total{};
  for (std::size_t k = 0; k < kSums; ++k) total += sums[k];
  numbers[2] = total[0];
  return times * 2 * static_cast<std::int64_t>(kSums * kBytes / sizeof(float));
}
