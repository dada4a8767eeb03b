#pragma once

#include <algorithm>
#include <cstddef>

namespace makemore {

/// Bytes that a processor fetches at once.
inline constexpr std::size_t kLineBytes = 64;

/// Asks for the memory at an address, which need not be valid, before it is needed.
inline void prefetch([[maybe_unused]] const void* address) {
#ifdef __GNUC__
  __builtin_prefetch(address);
#endif
}

/// The same of `bytes` bytes from there on, or the first of them: a large row is searched.
inline void prefetch(const void* address, std::size_t bytes) {
  constexpr std::size_t kMaxBytes = 512;
  for (std::size_t i = 0; i < std::min(bytes, kMaxBytes); i += kLineBytes) {
    prefetch(static_cast<const std::byte*>(address) + i);
  }
}

}  // namespace makemore
