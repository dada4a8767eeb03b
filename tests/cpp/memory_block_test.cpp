#include "memory_block.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <thread>
#include <vector>

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

TEST_CASE("a large block that is freed is the next one of its size, unless others came between") {
  constexpr std::size_t kBytes = std::size_t{5} << 20;
  MemoryBlock first(kBytes), second(kBytes);
  const std::byte* const freed = first.data();
  first = MemoryBlock();
  CHECK(MemoryBlock(kBytes + (std::size_t{1} << 20)).data() != freed);
  MemoryBlock same(kBytes - 5);
  CHECK(same.data() == freed);
  CHECK(second.data() != freed);
  std::ranges::fill(same.bytes(), std::byte{3});
  CHECK(std::ranges::count(same.bytes(), std::byte{3}) == std::ssize(same.bytes()));
}

TEST_CASE("no more is kept of freed blocks than a limit") {
  const auto mapped_pages = [] {  // of this process
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages;
  };
  const std::size_t before = mapped_pages();
  std::vector<MemoryBlock> blocks;
  for (int i = 0; i < 100; ++i) blocks.emplace_back(std::size_t{1} << 20);
  blocks.clear();
  const std::size_t kept = (mapped_pages() - before) * sysconf(_SC_PAGESIZE);
  CHECK(kept <= std::size_t{34} << 20);
}

TEST_CASE("threads free and take large blocks together") {
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 1; t <= 4; ++t) {
    threads.emplace_back([t, &wrong] {
      for (std::size_t i = 0; i < 200; ++i) {
        MemoryBlock block((i % 3 + 1) * (std::size_t{200} << 10));
        std::ranges::fill(block.bytes(), static_cast<std::byte>(t));
        if (std::ranges::count(block.bytes(), static_cast<std::byte>(t)) !=
            std::ssize(block.bytes())) {
          ++wrong;
        }
      }
    });
  }
  threads.clear();
  CHECK(wrong == 0);
}

TEST_CASE("a large vector grows from small blocks to large ones") {
  LargeVector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < 100'000; ++i) numbers.push_back(i);
  CHECK(std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}) == 4'999'950'000);
}
