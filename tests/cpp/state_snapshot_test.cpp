#include "state_snapshot.h"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>
#include <utility>
#include <vector>

using namespace makemore;

namespace {

StateSnapshot add(SnapshotPool& pool, const StateSnapshot& before, std::int64_t value) {
  auto [snapshot, data] = pool.add(before, before ? before->steps + 1 : 1);
  std::memcpy(data, &value, sizeof value);
  return snapshot;
}

std::int64_t value_of(const StateSnapshot& snapshot) {
  std::int64_t value = 0;
  std::memcpy(&value, snapshot->data, sizeof value);
  return value;
}

}  // namespace

TEST_CASE("a snapshot keeps its data and those before it, whatever is added and freed meanwhile") {
  const auto pool = SnapshotPool::make(sizeof(std::int64_t));
  std::vector<StateSnapshot> snapshots;
  for (std::int64_t i = 0; i < 5000; ++i) {
    const StateSnapshot before = i % 3 == 0 ? StateSnapshot() : snapshots.back();
    snapshots.push_back(add(*pool, before, i));
    if (i % 7 == 0) snapshots[static_cast<std::size_t>(i / 2)] = {};
    if (!snapshots.back()) snapshots.back() = add(*pool, {}, i);
  }
  for (std::int64_t i = 0; i < 5000; ++i) {
    const StateSnapshot& snapshot = snapshots[static_cast<std::size_t>(i)];
    if (!snapshot) continue;
    CHECK(value_of(snapshot) == i);
    CHECK(reinterpret_cast<std::uintptr_t>(snapshot->data) % 64 == 0);
    if (snapshot->before) CHECK(value_of(snapshot->before) == i - 1);
  }
}

TEST_CASE("memory is freed with the snapshots in it, but for a block") {
  const auto pool = SnapshotPool::make(1000);
  for (int round = 0; round < 3; ++round) {
    std::vector<StateSnapshot> snapshots;
    for (int i = 0; i < 20'000; ++i) snapshots.push_back(add(*pool, {}, i));
    CHECK(pool->bytes() >= 20'000 * pool->node_bytes());
    CHECK(pool->bytes() < 20'000 * pool->node_bytes() + (std::size_t{2} << 20));
    snapshots.clear();
    CHECK(pool->bytes() <= kHugePageBytes);
  }
}

TEST_CASE("snapshots are added at once, each after one or after none") {
  const auto pool = SnapshotPool::make(8);
  const StateSnapshot first = add(*pool, {}, 7);
  std::vector<StateSnapshot> snapshots{first, {}, first};
  const std::vector<std::int64_t> positions{1, 0, 5};
  std::vector<std::byte*> data(3);
  pool->add_after(snapshots, positions, data);
  for (std::int64_t i = 0; i < 3; ++i) {
    const StateSnapshot& added = snapshots[static_cast<std::size_t>(i)];
    std::memcpy(data[static_cast<std::size_t>(i)], &i, sizeof i);
    CHECK(value_of(added) == i);
    CHECK(added->steps == positions[static_cast<std::size_t>(i)] + 1);
  }
  CHECK(snapshots[0]->before == first);
  CHECK_FALSE(snapshots[1]->before);
}

TEST_CASE(
    "what is dropped at once is freed but for what others hold, and what is of another pool") {
  const auto pool = SnapshotPool::make(1000), other = SnapshotPool::make(8);
  const StateSnapshot foreign = add(*other, {}, 1), held = add(*pool, {}, 2);
  std::vector<StateSnapshot> snapshots;
  for (int i = 0; i < 20'000; ++i) snapshots.push_back(add(*pool, i % 2 ? foreign : held, i));
  snapshots.push_back(foreign);
  snapshots.push_back(held);
  snapshots.push_back({});
  pool->drop(snapshots);
  CHECK(pool->bytes() <= 2 * kHugePageBytes);
  CHECK_FALSE(snapshots[0]);
  CHECK(snapshots[1] == foreign);  // which came before one of the pool
  CHECK(snapshots[20'000] == foreign);
  CHECK_FALSE(snapshots[20'001]);
  snapshots.clear();
  CHECK(value_of(foreign) == 1);
  CHECK(value_of(held) == 2);
}

TEST_CASE("steps that free as many snapshots as they add take no more memory with time") {
  const auto pool = SnapshotPool::make(1000);
  std::vector<StateSnapshot> now(5'000), before;
  std::vector<std::byte*> data(now.size());
  for (int step = 0; step < 20; ++step) {
    before = std::exchange(now, std::vector<StateSnapshot>(now.size()));
    pool->add_after(now, std::vector<std::int64_t>(now.size(), step), data);
    pool->drop(before);
    CHECK(pool->bytes() < 2 * now.size() * pool->node_bytes() + (std::size_t{3} << 20));
  }
  pool->drop(now);
  CHECK(pool->bytes() <= kHugePageBytes);
}

TEST_CASE("a snapshot outlives the pool's owner") {
  auto pool = SnapshotPool::make(8);
  const StateSnapshot first = add(*pool, {}, 1), second = add(*pool, first, 2);
  pool.reset();
  CHECK(value_of(second) == 2);
  CHECK(value_of(second->before) == 1);
  CHECK(second->before == first);
}

TEST_CASE("a chain of a million steps is freed without a recursion") {
  const auto pool = SnapshotPool::make(8);
  StateSnapshot last;
  for (std::int64_t i = 0; i < 1'000'000; ++i) last = add(*pool, last, i);
  CHECK(last->steps == 1'000'000);
  last = {};
  CHECK(pool->bytes() <= kHugePageBytes);
}

TEST_CASE("threads share a pool and its snapshots") {
  const auto pool = SnapshotPool::make(8);
  const StateSnapshot shared = add(*pool, {}, -1);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t thread = 0; thread < wrong.size(); ++thread) {
    threads.emplace_back([&, thread] {
      StateSnapshot last;
      for (std::int64_t i = 0; i < 20'000; ++i) {
        const auto value = static_cast<std::int64_t>(thread) * 100'000 + i;
        last = add(*pool, i % 10 == 0 ? shared : last, value);
        wrong[thread] += value_of(last) != value;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(wrong.size()));
  CHECK(value_of(shared) == -1);
}
