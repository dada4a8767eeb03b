#include "state_snapshot.h"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>
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
    CHECK(pool->bytes() <= std::size_t{1} << 20);
  }
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
  CHECK(pool->bytes() <= std::size_t{1} << 20);
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
