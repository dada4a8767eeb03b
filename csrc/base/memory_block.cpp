#include "memory_block.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <new>
#include <utility>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#include <unistd.h>
#define MAKEMORE_HAS_MMAP
#endif

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes)
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

/// The next of eight sizes between two powers of two, so that a block suits others of its kind.
std::size_t mapped_bytes(std::size_t bytes) {
  const std::size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

/// Blocks that were freed last, for others of their size: the system clears each page of a new one
/// when it is first touched. Nobody waits for another thread here, which may be one that a fork has
/// left behind with the lock.
class FreedBlocks {
 public:
  /// Null, if there is none of this size.
  std::byte* take(std::size_t bytes) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return nullptr;
    const auto block = std::ranges::find(blocks_, bytes, &Block::bytes);
    if (block == std::end(blocks_)) return nullptr;
    bytes_ -= bytes;
    ASAN_UNPOISON_MEMORY_REGION(block->data, bytes);
    return std::exchange(*block, {}).data;
  }

  /// False, if it is not kept.
  bool keep(std::byte* data, std::size_t bytes) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || bytes > kMaxBytes) return false;
    Block& block = blocks_[next_];
    forget(block);
    block = {data, bytes};
    ASAN_POISON_MEMORY_REGION(data, bytes);
    bytes_ += bytes;
    next_ = after(next_);
    for (std::size_t oldest = next_; bytes_ > kMaxBytes; oldest = after(oldest)) {
      forget(blocks_[oldest]);
    }
    return true;
  }

 private:
  static constexpr std::size_t kMaxBytes = std::size_t{32} << 20, kMaxBlocks = 64;

  struct Block {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
  };

  static std::size_t after(std::size_t place) { return (place + 1) % kMaxBlocks; }

  void forget(Block& block) {
    if (block.data == nullptr) return;
    ASAN_UNPOISON_MEMORY_REGION(block.data, block.bytes);
    munmap(block.data, block.bytes);
    bytes_ -= block.bytes;
    block = {};
  }

  std::mutex mutex_;
  Block blocks_[kMaxBlocks];
  std::size_t next_ = 0;   // of them: those from here on were kept first
  std::size_t bytes_ = 0;  // of all
};

constinit FreedBlocks freed_blocks;
#endif

}  // namespace

std::byte* allocate_block(std::size_t bytes) {
#ifdef MAKEMORE_HAS_MMAP
  if (is_mapped(bytes)) {
    bytes = mapped_bytes(bytes);
    if (std::byte* const freed = freed_blocks.take(bytes)) return freed;
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
    bytes = mapped_bytes(bytes);
    if (!freed_blocks.keep(data, bytes)) munmap(data, bytes);
    return;
  }
#endif
  operator delete(data, kAlignment);
}

}  // namespace makemore
