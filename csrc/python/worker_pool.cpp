#include "worker_pool.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "bindings.h"
#include "errors.h"
#include "python_step.h"

namespace makemore {

WorkerPool::WorkerPool(std::int64_t vocab_size, std::size_t cache_bytes,
                       std::chrono::milliseconds idle_time)
    : vocab_size_(vocab_size),
      cache_bytes_(cache_bytes),
      idle_time_(idle_time),
      budget_(std::make_shared<CacheBudget>(cache_bytes)) {}

WorkerPool::Loan::Loan(WorkerPool& pool, const py::object& new_step, std::size_t count)
    : pool_(pool) {
  entries_.reserve(count);
  {
    const std::lock_guard lock(pool.mutex_);
    budget_ = pool.budget_;
    for (; entries_.size() < count && !pool.idle_.empty(); pool.idle_.pop_back()) {
      entries_.push_back(std::move(pool.idle_.back()));
    }
  }
  while (entries_.size() < count) add(new_step());
  workers_.reserve(count);
  for (const Entry& entry : entries_) workers_.push_back(entry.worker.get());
}

/// Adds a worker over a step.
void WorkerPool::Loan::add(py::object step) {
  if (!py::isinstance<Step>(step)) step = py::cast(std::make_unique<PythonStep>(step));
  auto& of_worker = step.cast<Step&>();
  if (of_worker.vocab_size() != pool_.vocab_size_) {
    throw StepError("a step has " + std::to_string(of_worker.vocab_size()) +
                    " logits; the vocabulary has " + std::to_string(pool_.vocab_size_));
  }
  auto* const snapshots = dynamic_cast<SnapshotStep*>(&of_worker);
  entries_.push_back({std::move(step), snapshots != nullptr
                                           ? std::make_unique<Worker>(*snapshots, budget_)
                                           : std::make_unique<Worker>(of_worker)});
}

void WorkerPool::take_back(std::vector<Entry> entries) {
  const Clock::time_point now = Clock::now();
  std::vector<Entry> unused;
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries) {
    if (!entry.worker->cache || entry.worker->budget != budget_) continue;
    entry.used = now;
    idle_.push_back(std::move(entry));
  }
  if (idle_.size() <= entries.size()) return;
  for (; !idle_.empty() && idle_.front().used < now - idle_time_; idle_.pop_front()) {
    unused.push_back(std::move(idle_.front()));
  }
}

void WorkerPool::clear() {
  const auto budget = std::make_shared<CacheBudget>(cache_bytes_);
  std::deque<Entry> cleared;
  {
    const std::lock_guard lock(mutex_);
    budget_ = budget;
    cleared.swap(idle_);
  }
  for (Entry& entry : cleared) entry.worker->clear_cache(budget);
  const std::lock_guard lock(mutex_);
  if (budget_ != budget) return;  // it was cleared again
  idle_.insert(idle_.begin(), std::move_iterator(cleared.begin()),
               std::move_iterator(cleared.end()));
}

std::vector<std::size_t> WorkerPool::cache_bytes() {
  const std::lock_guard lock(mutex_);
  std::vector<std::size_t> bytes;
  for (const Entry& entry : idle_) {
    if (entry.worker->cache) bytes.push_back(entry.worker->cache->bytes());
  }
  return bytes;
}

void define_workers(py::module_& m) {
  py::class_<WorkerPool>(m, "WorkerPool")
      .def(py::init([](std::int64_t vocab_size, std::size_t cache_bytes, std::int64_t idle_ms) {
             return std::make_unique<WorkerPool>(vocab_size, cache_bytes,
                                                 std::chrono::milliseconds(idle_ms));
           }),
           py::arg("vocab_size"), py::arg("cache_bytes"), py::arg("idle_ms") = 10'000)
      .def("clear", &WorkerPool::clear)
      .def_property_readonly("cache_bytes", &WorkerPool::cache_bytes);
}

}  // namespace makemore
