#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "conversions.h"
#include "worker.h"

namespace makemore {

/// The workers of a sampler between its calls, of any thread; only those whose cache is of use are
/// kept. All of it is called with the GIL, where there is one.
class WorkerPool {
  using Clock = std::chrono::steady_clock;

  struct Entry {
    py::object step;  // which the worker refers to
    std::unique_ptr<Worker> worker;
    Clock::time_point used = {};  // last
  };

 public:
  /// Workers over steps with `vocab_size` logits, with `cache_bytes` for all their caches together.
  /// A cache that was not used for `idle_time`, while others were, is freed.
  WorkerPool(std::int64_t vocab_size, std::size_t cache_bytes, std::chrono::milliseconds idle_time);

  std::int64_t vocab_size() const { return vocab_size_; }

  /// Workers that one call has: they are dropped with this, unless they are given back.
  class Loan {
   public:
    /// Idle workers, whose caches know earlier calls, the last one that was used first, and as far
    /// as these are too few such over new steps. Throws StepError for a step of another vocabulary,
    /// and what `new_step` throws.
    Loan(WorkerPool& pool, const py::object& new_step, std::size_t count);

    std::span<Worker* const> workers() const { return workers_; }

    /// The call has succeeded.
    void give_back() { pool_.take_back(std::move(entries_)); }

   private:
    void add(py::object step);

    WorkerPool& pool_;
    std::shared_ptr<CacheBudget> budget_;  // of new workers
    std::vector<Entry> entries_;
    std::vector<Worker*> workers_;
  };

  /// Frees all caches; those of calls that are running when they end. Idle workers keep their
  /// steps, which are without rows.
  void clear();

  /// Bytes of each cache that an idle worker has; the last one that was used comes last.
  std::vector<std::size_t> cache_bytes();

 private:
  void take_back(std::vector<Entry> entries);

  const std::int64_t vocab_size_;
  const std::size_t cache_bytes_;
  const std::chrono::milliseconds idle_time_;
  std::mutex mutex_;  // of what is below; nothing is destroyed while it is held
  std::shared_ptr<CacheBudget> budget_;
  std::deque<Entry> idle_;
};

}  // namespace makemore
