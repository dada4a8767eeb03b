#pragma once

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

}  // namespace makemore
