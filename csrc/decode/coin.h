#pragma once

#include <array>
#include <cstdint>

namespace makemore {

/// Philox4x32-10, a counter-based generator: the same (counter, key) always gives the same four
/// words. Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC11, section
/// 3.3; the constants are those of its reference implementation, Random123.
inline std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                               std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// The uniform number in [0, 1) that decides the token of `row` after `position` tokens.
///
/// A pure function, so that a sample depends on neither batch nor thread. Its values are part of
/// the seed promise: counter = (row low, row high, position, stream 0), key = seed, the upper 53
/// bits of the first two words.
inline double coin(std::uint64_t seed, std::uint64_t row, std::uint32_t position) {
  constexpr std::uint32_t kStream = 0;
  const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
  const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
  const auto words = philox4x32({low(row), high(row), position, kStream}, {low(seed), high(seed)});
  const std::uint64_t bits = words[0] | std::uint64_t{words[1]} << 32;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace makemore
