#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "memory_block.h"
#include "prefetch.h"

namespace makemore {

/// Which prefix a token leads to from another one: a hash table, open addressing with linear
/// probing (Knuth, The Art of Computer Programming, volume 3, section 6.4), to which one thread
/// adds while others read. A row of V ids for each prefix would take more memory than the rest of
/// what is known of it, and be almost empty.
class PrefixChildren {
 public:
  using Id = std::int32_t;
  static constexpr Id kNone = -1;
  static constexpr std::size_t kMaxId = (std::size_t{1} << 24) - 1;

  /// Bytes of a child at most, with those of the tables that were too small for it.
  static constexpr std::size_t kBytes = 4 * sizeof(std::uint64_t);

  PrefixChildren() { use(std::make_unique<Table>(kFirstBits)); }

  /// The child with that key; kNone where there is none. Whatever was written before `add` can be
  /// read after it is found.
  Id find(std::uint64_t key) const {
    const Table& table = *current_.load(std::memory_order_acquire);
    for (std::size_t place = table.place(key);; place = table.next(place)) {
      const std::uint64_t entry = table.entries[place].load(std::memory_order_acquire);
      if (entry == 0) return kNone;
      if (entry >> kIdBits == key) return static_cast<Id>(entry & kMaxId);
    }
  }

  /// Asks for the memory that `find` will read.
  void fetch(std::uint64_t key) const {
    const Table& table = *current_.load(std::memory_order_acquire);
    prefetch(&table.entries[table.place(key)]);
  }

  /// Adds a child, which there must not be yet. key: below 2^40. id: from 1 to kMaxId. In a thread
  /// at a time.
  void add(std::uint64_t key, Id id) {
    if (2 * ++size_ > tables_.back()->mask + 1) grow();
    put(*tables_.back(), key << kIdBits | static_cast<std::uint64_t>(id));
  }

 private:
  static constexpr int kIdBits = 24, kFirstBits = 8;

  struct Table {
    explicit Table(int bits)
        : shift(64 - bits), mask((std::size_t{1} << bits) - 1), entries(mask + 1) {}

    /// Where to look first: Knuth, the same section, multiplicative hashing.
    std::size_t place(std::uint64_t key) const {
      return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> shift);
    }
    std::size_t next(std::size_t place) const { return (place + 1) & mask; }

    int shift;
    std::size_t mask;
    LargeVector<std::atomic<std::uint64_t>> entries;  // key and id; 0 where there is none
  };

  void use(std::unique_ptr<Table> table) {
    tables_.push_back(std::move(table));
    current_.store(tables_.back().get(), std::memory_order_release);
  }

  /// Readers may still be in the tables before, which have all that they may look for.
  void grow() {
    const Table& before = *tables_.back();
    auto table = std::make_unique<Table>(64 - before.shift + 1);
    for (std::size_t place = 0; place <= before.mask; ++place) {
      const std::uint64_t entry = before.entries[place].load(std::memory_order_relaxed);
      if (entry != 0) put(*table, entry);
    }
    use(std::move(table));
  }

  static void put(Table& table, std::uint64_t entry) {
    std::size_t place = table.place(entry >> kIdBits);
    while (table.entries[place].load(std::memory_order_relaxed) != 0) place = table.next(place);
    table.entries[place].store(entry, std::memory_order_release);
  }

  std::vector<std::unique_ptr<Table>> tables_;  // the last one is in use
  std::atomic<const Table*> current_;
  std::size_t size_ = 0;
};

}  // namespace makemore
