#pragma once

#include <cpuid.h>

#include <cstdint>
#include <vector>

namespace makemore {

/// The highest of the x86-64 psABI's microarchitecture levels (section 3.1.1) that the processor
/// has and whose registers its operating system saves: 4, 3, or 1 for all below.
///
/// It asks CPUID itself: __builtin_cpu_supports is answered by code that comes with the compiler,
/// and that of zig, which builds portable wheels, finds no feature.
inline int x86_level() {
  std::uint32_t a = 0, b = 0, features = 0, d = 0, wide = 0, more = 0;
  if (!__get_cpuid(1, &a, &b, &features, &d)) return 1;
  if (!__get_cpuid_count(7, 0, &a, &wide, &b, &d)) return 1;
  if (!__get_cpuid(0x80000001, &a, &b, &more, &d)) return 1;
  const auto all = [](std::uint32_t found, std::uint32_t needed) {
    return (found & needed) == needed;
  };
  if (!all(features, bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C)) return 1;
  if (!all(wide, bit_AVX2 | bit_BMI | bit_BMI2) || !all(more, bit_LZCNT)) return 1;
  std::uint32_t saved = 0;
  __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
  if (!all(saved, 0x06)) return 1;  // the lower halves of vector registers, and the upper
  const auto avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  return all(wide, avx512) && all(saved, 0xE6) ? 4 : 3;
}

/// Whether the processor has AVX512-VNNI, too, which level 4 does not ask for.
inline bool has_avx512_vnni() {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  return x86_level() >= 4 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & bit_AVX512VNNI) != 0;
}

/// Of kernels for two levels, and for the higher one with AVX512-VNNI, those that this processor
/// runs, the fastest first.
template <class Kernel>
std::vector<const Kernel*> those_that_run(const Kernel& with_vnni, const Kernel& level_4,
                                          const Kernel& level_3) {
  std::vector<const Kernel*> kernels;
  if (has_avx512_vnni()) kernels.push_back(&with_vnni);
  if (x86_level() >= 4) kernels.push_back(&level_4);
  if (x86_level() >= 3) kernels.push_back(&level_3);
  return kernels;
}

}  // namespace makemore
