#include "state_snapshot.h"

#include <algorithm>
#include <memory>
#include <new>

namespace makemore {
namespace {

constexpr std::size_t kAlignment = 64;

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr std::size_t kMinNodesPerBlock = 8;

}  // namespace

StateSnapshot::StateSnapshot(const StateSnapshot& other) noexcept : node_(other.node_) {
  if (node_ != nullptr) node_->references_.fetch_add(1, std::memory_order_relaxed);
}

SnapshotNode* StateSnapshot::release() noexcept {
  SnapshotNode* node = std::exchange(node_, nullptr);
  const bool is_last =
      node != nullptr && node->references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  return is_last ? node : nullptr;
}

StateSnapshot::~StateSnapshot() {
  // A loop: a chain is as long as its string, too long for a recursion.
  while (SnapshotNode* node = release()) {
    const std::shared_ptr<SnapshotPool> pool = node->block_.pool;  // until the lock is left
    const std::lock_guard lock(pool->mutex_);
    node_ = std::exchange(node->before.node_, nullptr);
    pool->free(node);
  }
}

SnapshotPool::SnapshotPool(std::size_t bytes) : data_bytes_(round_up(bytes)) {}

std::size_t SnapshotPool::node_bytes() const { return sizeof(SnapshotNode) + data_bytes_; }

std::size_t SnapshotPool::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::shared_ptr<SnapshotPool> SnapshotPool::make(std::size_t bytes) {
  struct Pool : SnapshotPool {
    using SnapshotPool::SnapshotPool;
    explicit Pool(std::size_t bytes) : SnapshotPool(bytes) {}
  };
  return std::make_shared<Pool>(bytes);
}

SnapshotPool::NewSnapshot SnapshotPool::add(StateSnapshot before, std::int64_t steps) {
  const std::lock_guard lock(mutex_);
  return add_node(before, steps);
}

void SnapshotPool::add_after(std::span<StateSnapshot> snapshots,
                             std::span<const std::int64_t> positions, std::span<std::byte*> data) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    auto [snapshot, place] = add_node(snapshots[i], positions[i] + 1);
    snapshots[i] = std::move(snapshot);
    data[i] = place;
  }
}

void SnapshotPool::drop(std::span<StateSnapshot> snapshots) noexcept {
  const std::shared_ptr<SnapshotPool> pool = shared_from_this();  // until the lock is left
  const std::lock_guard lock(mutex_);
  for (StateSnapshot& snapshot : snapshots) {
    while (snapshot && snapshot.node_->block_.pool == pool) {
      SnapshotNode* node = snapshot.release();
      if (node == nullptr) break;
      snapshot = std::move(node->before);
      free(node);
    }
  }
}

/// Takes `before`, unless it throws. The lock is held.
SnapshotPool::NewSnapshot SnapshotPool::add_node(StateSnapshot& before, std::int64_t steps) {
  Block& block = available_block();
  std::byte* const nodes = block.memory.data();
  auto* place = reinterpret_cast<std::byte*>(block.free_place);
  if (place != nullptr) {
    block.free_place = block.free_place->next;
  } else {
    place = nodes + block.begun++ * sizeof(SnapshotNode);
  }
  const std::size_t index = static_cast<std::size_t>(place - nodes) / sizeof(SnapshotNode);
  std::byte* data = nodes + round_up(block.capacity * sizeof(SnapshotNode)) + index * data_bytes_;
  if (block.used == 0) {
    block.pool = shared_from_this();
    if (!block.in_use) {
      block.in_use = empty_.extract(&block);
      empty_bytes_ -= block.memory.size();
    }
  }
  if (++block.used == block.capacity) block.full = available_.extract(&block);
  auto* node = std::construct_at(reinterpret_cast<SnapshotNode*>(place), std::move(before), steps,
                                 data, block);
  return {StateSnapshot(node), data};
}

/// Blocks are as large as all before them together, up to a huge page.
SnapshotPool::Block& SnapshotPool::available_block() {
  if (!available_.empty()) return **available_.begin();
  const std::size_t most = std::min(bytes_, kHugePageBytes);
  const std::size_t capacity =
      std::max((most - std::min(most, kAlignment)) / node_bytes(), kMinNodesPerBlock);
  const std::size_t bytes =
      std::max(most, round_up(capacity * sizeof(SnapshotNode)) + capacity * data_bytes_);
  auto block = std::make_unique<Block>(Block{MemoryBlock(bytes), capacity});
  Block* added = block.get();
  Blocks one{added};
  added->in_use = one.extract(added);
  one.insert(added);
  blocks_.emplace(added, std::move(block));
  available_.merge(one);
  bytes_ += bytes;
  return *added;
}

/// A node of this pool without references, and with none before it. The lock is held.
void SnapshotPool::free(SnapshotNode* node) noexcept {
  Block& block = node->block_;
  std::destroy_at(node);
  block.free_place = ::new (static_cast<void*>(node)) FreePlace{block.free_place};
  if (block.used-- == block.capacity) available_.insert(std::move(block.full));
  if (block.used > 0) return;
  block.pool = nullptr;
  empty_.insert(std::move(block.in_use));
  empty_bytes_ += block.memory.size();
  free_empty_blocks();
}

/// All but one, until they are at most half of the memory.
void SnapshotPool::free_empty_blocks() noexcept {
  while (empty_bytes_ > bytes_ / 2 && empty_.size() > 1) {
    Block* block = *empty_.begin();
    empty_bytes_ -= block->memory.size();
    bytes_ -= block->memory.size();
    empty_.erase(block);
    available_.erase(block);
    blocks_.erase(block);
  }
}

}  // namespace makemore
