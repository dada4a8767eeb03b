#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "memory_block.h"

namespace makemore {

/// Memory for rows of one size, aligned to 8 bytes, which never move. Blocks are as large as all
/// before them together, up to a limit.
class RowPool {
 public:
  explicit RowPool(std::size_t row_bytes) : row_bytes_((row_bytes + 7) / 8 * 8) {}

  /// A row of undefined content.
  std::byte* take() {
    if (free_.empty()) add_block();
    std::byte* row = free_.back();
    free_.pop_back();
    return row;
  }

  void give_back(std::byte* row) { free_.push_back(row); }

  /// Frees all rows.
  void clear() {
    blocks_.clear();
    free_.clear();
    rows_ = 0;
  }

 private:
  static constexpr std::size_t kMinBlockRows = 16;

  void add_block() {
    const std::size_t most = kHugePageBytes / row_bytes_;
    const std::size_t rows = std::max(std::min(rows_, most), kMinBlockRows);
    const std::size_t bytes = rows * row_bytes_;
    MemoryBlock& block = blocks_.emplace_back(rows == most ? kHugePageBytes : bytes);
    free_.reserve(rows);
    for (std::size_t i = rows; i > 0; --i) free_.push_back(block.data() + (i - 1) * row_bytes_);
    rows_ += rows;
  }

  std::size_t row_bytes_;
  std::size_t rows_ = 0;  // of all blocks
  std::vector<MemoryBlock> blocks_;
  std::vector<std::byte*> free_;
};

}  // namespace makemore
