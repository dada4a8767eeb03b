#include "memory_block.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

using namespace makemore;

TEST_CASE("a block has its size, is aligned and can be moved") {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{1000}, std::size_t{128} << 10, (std::size_t{3} << 20) + 5}) {
    MemoryBlock block(bytes);
    CHECK(block.size() == bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % 64 == 0);
    std::ranges::fill(block.bytes(), std::byte{7});
    MemoryBlock other = std::move(block);
    block = MemoryBlock(bytes);
    MemoryBlock& same = other;
    other = std::move(same);
    CHECK(std::ranges::count(other.bytes(), std::byte{7}) == static_cast<std::ptrdiff_t>(bytes));
  }
  CHECK(MemoryBlock().bytes().empty());
}

TEST_CASE("a large vector grows from small blocks to large ones") {
  LargeVector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < 100'000; ++i) numbers.push_back(i);
  CHECK(std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}) == 4'999'950'000);
}
