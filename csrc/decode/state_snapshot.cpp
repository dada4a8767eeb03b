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
constexpr std::size_t kMaxBlockBytes = std::size_t{1} << 20;

}  // namespace

StateSnapshot::StateSnapshot(const StateSnapshot& other) noexcept : node_(other.node_) {
  if (node_ != nullptr) node_->references_.fetch_add(1, std::memory_order_relaxed);
}

StateSnapshot::~StateSnapshot() {
  // A loop: a chain is as long as its string, too long for a recursion.
  SnapshotNode* node = node_;
  while (node != nullptr && node->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    SnapshotNode* before = std::exchange(node->before.node_, nullptr);
    const std::shared_ptr<SnapshotPool> pool = std::move(node->pool_);
    SnapshotPool::Block& block = node->block_;
    std::destroy_at(node);
    pool->free(node, block);
    node = before;
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
  auto pool = shared_from_this();
  const std::lock_guard lock(mutex_);
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
  if (++block.used == block.capacity) available_.erase(&block);
  if (empty_ == &block) empty_ = nullptr;
  auto* node = std::construct_at(reinterpret_cast<SnapshotNode*>(place), std::move(before), steps,
                                 data, std::move(pool), block);
  return {StateSnapshot(node), data};
}

/// Blocks are as large as all before them together, up to a limit.
SnapshotPool::Block& SnapshotPool::available_block() {
  if (!available_.empty()) return **available_.begin();
  const std::size_t wanted = std::min(bytes_, kMaxBlockBytes) / node_bytes();
  const std::size_t capacity = std::max(wanted, kMinNodesPerBlock);
  const std::size_t bytes = round_up(capacity * sizeof(SnapshotNode)) + capacity * data_bytes_;
  auto block = std::make_unique<Block>(Block{MemoryBlock(bytes), capacity});
  Block* added = block.get();
  blocks_.emplace(added, std::move(block));
  available_.insert(added);
  bytes_ += bytes;
  return *added;
}

void SnapshotPool::free(void* place, Block& block) noexcept {
  const std::lock_guard lock(mutex_);
  block.free_place = ::new (place) FreePlace{block.free_place};
  if (block.used-- == block.capacity) available_.insert(&block);
  if (block.used > 0) return;
  if (empty_ == nullptr) {
    empty_ = &block;
    return;
  }
  bytes_ -= block.memory.size();
  available_.erase(&block);
  blocks_.erase(&block);
}

}  // namespace makemore
