#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace makemore {

/// Bytes that a processor fetches at once.
inline constexpr std::size_t kLineBytes = 64;

/// Asks for the memory at an address, which need not be valid, before it is needed.
inline void prefetch([[maybe_unused]] const void* address) {
#ifdef __GNUC__
  __builtin_prefetch(address);
  asm volatile("");  // or GCC takes who calls this for a function without effect, and removes it
#endif
}

/// The same for an address that will be written, which other threads may have written last.
inline void prefetch_for_write([[maybe_unused]] const void* address) {
#ifdef __GNUC__
  __builtin_prefetch(address, 1);
  asm volatile("");
#endif
}

/// The same of `bytes` bytes from there on, or the first of them: a large row is searched.
inline void prefetch(const void* address, std::size_t bytes) {
  constexpr std::size_t kMaxBytes = 512;
  const auto* begin = static_cast<const std::byte*>(address);
  const auto* end = begin + std::min(bytes, kMaxBytes);
  begin -= reinterpret_cast<std::uintptr_t>(address) % kLineBytes;
  for (; begin < end; begin += kLineBytes) prefetch(begin);
}

}  // namespace makemore
