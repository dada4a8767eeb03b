#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace makemore {

/// A block of this size, or of several, lies in huge pages where the system has them: who reads
/// here and there in it then seldom waits for an address to be translated.
inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

/// Memory aligned to the widest vector, whose content is undefined. A large block comes straight
/// from the operating system, and goes back to it soon after it is freed: 32 MiB are kept for the
/// next ones. malloc does not promise that: small blocks that are still in use keep the freed
/// memory around them in the process. Throws std::bad_alloc.
std::byte* allocate_block(std::size_t bytes);
void free_block(std::byte* data, std::size_t bytes) noexcept;

/// A block that is freed with this. Its content is undefined at first.
class MemoryBlock {
 public:
  MemoryBlock() = default;
  explicit MemoryBlock(std::size_t bytes) : data_(allocate_block(bytes)), size_(bytes) {}
  MemoryBlock(MemoryBlock&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MemoryBlock() {
    if (data_ != nullptr) free_block(data_, size_);
  }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class T>
struct BlockAllocator {
  using value_type = T;

  BlockAllocator() = default;
  template <class Other>
  BlockAllocator(const BlockAllocator<Other>&) {}

  T* allocate(std::size_t count) { return reinterpret_cast<T*>(allocate_block(count * sizeof(T))); }
  void deallocate(T* data, std::size_t count) {
    free_block(reinterpret_cast<std::byte*>(data), count * sizeof(T));
  }
  bool operator==(const BlockAllocator&) const = default;
};

/// A vector that may become large and does not live long.
template <class T>
using LargeVector = std::vector<T, BlockAllocator<T>>;

}  // namespace makemore
