#include "prefix_children.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <future>
#include <map>
#include <random>

using namespace makemore;

namespace {

constexpr PrefixChildren::Id kChildren = 5'000;

/// Keys far apart and side by side, each once.
std::map<std::uint64_t, PrefixChildren::Id> some_keys() {
  std::map<std::uint64_t, PrefixChildren::Id> keys;
  std::mt19937_64 random(1);
  while (std::ssize(keys) < kChildren) {
    const auto id = static_cast<PrefixChildren::Id>(keys.size() + 1);
    keys.try_emplace(id % 2 == 0 ? random() >> 24 : keys.size(), id);
  }
  return keys;
}

}  // namespace

TEST_CASE("a child is found by its key, and no other one") {
  PrefixChildren children;
  CHECK(children.find(0) == PrefixChildren::kNone);
  const auto keys = some_keys();
  for (const auto& [key, id] : keys) children.add(key, id);
  for (const auto& [key, id] : keys) CHECK(children.find(key) == id);
  for (std::uint64_t key = 0; key < 2 * kChildren; ++key) {
    if (!keys.contains(key)) CHECK(children.find(key) == PrefixChildren::kNone);
  }
}

TEST_CASE("the largest key and id fit") {
  PrefixChildren children;
  const std::uint64_t key = (std::uint64_t{1} << 40) - 1;
  const auto id = static_cast<PrefixChildren::Id>(PrefixChildren::kMaxId);
  children.add(key, id);
  CHECK(children.find(key) == id);
  CHECK(children.find(key - 1) == PrefixChildren::kNone);
}

TEST_CASE("threads find what was added before, while one adds more") {
  PrefixChildren children;
  std::atomic<PrefixChildren::Id> added = 0;
  const auto adds = std::async(std::launch::async, [&] {
    for (PrefixChildren::Id id = 1; id <= kChildren; ++id) {
      children.add(static_cast<std::uint64_t>(id) * 27, id);
      added = id;
    }
  });
  while (added < kChildren) {
    const PrefixChildren::Id last = added;
    if (last > 0) CHECK(children.find(static_cast<std::uint64_t>(last) * 27) == last);
    if (last > 0) CHECK(children.find(27) == 1);
  }
  adds.wait();
}
