#include "memory_block.h"

#include <new>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#define MAKEMORE_HAS_MMAP
#endif

namespace makemore {
namespace {

constexpr std::align_val_t kAlignment{64};

bool is_mapped([[maybe_unused]] std::size_t bytes) {
#ifdef MAKEMORE_HAS_MMAP
  constexpr std::size_t kMinMappedBytes = std::size_t{128} << 10;
  return bytes >= kMinMappedBytes;
#else
  return false;
#endif
}

}  // namespace

std::byte* allocate_block(std::size_t bytes) {
#ifdef MAKEMORE_HAS_MMAP
  if (is_mapped(bytes)) {
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    return static_cast<std::byte*>(mapped);
  }
#endif
  return static_cast<std::byte*>(operator new(bytes, kAlignment));
}

void free_block(std::byte* data, std::size_t bytes) noexcept {
#ifdef MAKEMORE_HAS_MMAP
  if (is_mapped(bytes)) {
    munmap(data, bytes);
    return;
  }
#endif
  operator delete(data, kAlignment);
}

}  // namespace makemore
