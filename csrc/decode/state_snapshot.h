#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <utility>

#include "memory_block.h"
#include "prefetch.h"

namespace makemore {

class SnapshotNode;
class SnapshotPool;

/// The saved state of a row: what its last step wrote, linked to what the steps before it wrote.
/// Rows that begin with the same tokens share the nodes of those tokens. Null is the zero state.
/// It counts references as std::shared_ptr does, so that threads may share nodes.
class StateSnapshot {
 public:
  StateSnapshot() = default;
  StateSnapshot(const StateSnapshot& other) noexcept;
  StateSnapshot(StateSnapshot&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  StateSnapshot& operator=(StateSnapshot other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~StateSnapshot();

  const SnapshotNode* get() const { return node_; }
  const SnapshotNode* operator->() const { return node_; }
  explicit operator bool() const { return node_ != nullptr; }
  bool operator==(const StateSnapshot&) const = default;

  /// Asks for the memory that a copy of this will write.
  void fetch() const { prefetch_for_write(node_); }

 private:
  friend class SnapshotPool;
  explicit StateSnapshot(SnapshotNode* node) : node_(node) {}

  /// The node, if this was the last reference to it; is null afterwards.
  SnapshotNode* release() noexcept;

  SnapshotNode* node_ = nullptr;
};

/// The memory of a step's snapshots, which are all of one size. It lies in blocks. Of these, empty
/// ones are kept for the next snapshots, up to half of the memory. Threads may share a pool.
class SnapshotPool : public std::enable_shared_from_this<SnapshotPool> {
 public:
  /// Of snapshots of `bytes` bytes. Snapshots keep their pool alive.
  static std::shared_ptr<SnapshotPool> make(std::size_t bytes);

  struct NewSnapshot {
    StateSnapshot snapshot;
    std::byte* data;  ///< to be written before the snapshot is shared; aligned to 64 bytes
  };

  NewSnapshot add(StateSnapshot before, std::int64_t steps);

  /// Adds one after each of `snapshots`, and puts it in its place: that of a row whose last step
  /// was at its position. `positions` and `data` are as many. Takes the lock once.
  void add_after(std::span<StateSnapshot> snapshots, std::span<const std::int64_t> positions,
                 std::span<std::byte*> data);

  /// Sets the snapshots to null, but those of other pools. Takes the lock once.
  void drop(std::span<StateSnapshot> snapshots) noexcept;

  /// Bytes that a snapshot takes of the pool.
  std::size_t node_bytes() const;

  /// Bytes of all blocks.
  std::size_t bytes() const;

 private:
  friend class StateSnapshot;
  friend class SnapshotNode;

  struct FreePlace {
    FreePlace* next;
  };
  struct Block;
  using Blocks = std::set<Block*>;
  /// Its memory holds `capacity` nodes, and then their data: nodes are read and written more often.
  struct Block {
    MemoryBlock memory;
    std::size_t capacity;
    std::shared_ptr<SnapshotPool> pool = nullptr;  // kept alive while a place is in use
    std::size_t begun = 0;                         // places from here on have not been used yet
    std::size_t used = 0;                          // places in use
    FreePlace* free_place = nullptr;               // a list
    // Its nodes of available_ and empty_, while it is in neither: to free a place allocates
    // nothing.
    Blocks::node_type full = {}, in_use = {};
  };

  explicit SnapshotPool(std::size_t bytes);
  NewSnapshot add_node(StateSnapshot& before, std::int64_t steps);
  Block& available_block();
  void free(SnapshotNode* node) noexcept;
  void free_empty_blocks() noexcept;

  std::size_t data_bytes_;
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;
  std::map<Block*, std::unique_ptr<Block>> blocks_;
  Blocks available_;  // with a free place
  Blocks empty_;      // some are kept for the next snapshots
  std::size_t empty_bytes_ = 0;
};

class SnapshotNode {
 public:
  SnapshotNode(StateSnapshot before, std::int64_t steps, const std::byte* data,
               SnapshotPool::Block& block)
      : before(std::move(before)), steps(steps), data(data), block_(block) {}

  StateSnapshot before;  // null where the data are the whole state
  std::int64_t steps;    // that the row has taken
  const std::byte* data;

 private:
  friend class StateSnapshot;
  friend class SnapshotPool;

  std::atomic<std::uint32_t> references_ = 1;
  SnapshotPool::Block& block_;
};

}  // namespace makemore
