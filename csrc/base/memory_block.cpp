#include "memory_block.h"

#include <cstdint>
#include <new>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#include <unistd.h>
#define MAKEMORE_HAS_MMAP
#endif

namespace makemore {
namespace {

constexpr std::align_val_t kAlignment{64};

#ifdef MAKEMORE_HAS_MMAP
std::byte* map(std::size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(mapped);
}
#endif

#ifdef MADV_HUGEPAGE
/// Maps a huge page more than is asked for, and gives back what lies before the first border of
/// one, and what is left behind the block.
std::byte* map_huge(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t used = (bytes + page - 1) / page * page;
  std::byte* const mapped = map(used + kHugePageBytes);
  const std::size_t past = reinterpret_cast<std::uintptr_t>(mapped) % kHugePageBytes;
  const std::size_t before = past == 0 ? 0 : kHugePageBytes - past;
  if (before > 0) munmap(mapped, before);
  munmap(mapped + before + used, kHugePageBytes - before);
  madvise(mapped + before, used, MADV_HUGEPAGE);  // pages stay small where it cannot be
  return mapped + before;
}
#endif

#ifdef MAKEMORE_HAS_MMAP
bool is_mapped(std::size_t bytes) {
  constexpr std::size_t kMinMappedBytes = std::size_t{128} << 10;
  return bytes >= kMinMappedBytes;
}
#endif

}  // namespace

std::byte* allocate_block(std::size_t bytes) {
#ifdef MAKEMORE_HAS_MMAP
  if (is_mapped(bytes)) {
#ifdef MADV_HUGEPAGE
    if (bytes >= kHugePageBytes) return map_huge(bytes);
#endif
    return map(bytes);
  }
#endif
  return static_cast<std::byte*>(operator new(bytes, kAlignment));
}

void free_block(std::byte* data, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef MAKEMORE_HAS_MMAP
  if (is_mapped(bytes)) {
    munmap(data, bytes);
    return;
  }
#endif
  operator delete(data, kAlignment);
}

}  // namespace makemore
