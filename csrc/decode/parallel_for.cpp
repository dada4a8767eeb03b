#include "parallel_for.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

namespace makemore {
namespace {

/// Fewer rows than this are brought into order by one thread.
constexpr std::size_t kFewRows = 1 << 14;

/// The tasks of a call, which its threads share.
class Tasks {
 public:
  Tasks(std::size_t count, std::size_t threads) : count_(count), running_(threads) {}

  /// The next task, as long as there is one.
  bool next(std::size_t& task) { return (task = next_++) < count_; }

  void end(std::size_t task) {
    const std::lock_guard lock(mutex_);
    ended_.push_back(task);
    changed_.notify_one();
  }

  void end_thread() {
    const std::lock_guard lock(mutex_);
    --running_;
    changed_.notify_one();
  }

  /// Tasks that have ended since the last call. None yet: waits, but not long.
  std::vector<std::size_t> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, CallCancellation::kPollInterval,
                      [this] { return !ended_.empty() || running_ == 0; });
    return std::exchange(ended_, {});
  }

  /// The same without waiting.
  std::vector<std::size_t> ended() {
    const std::lock_guard lock(mutex_);
    return std::exchange(ended_, {});
  }

  bool is_running() {
    const std::lock_guard lock(mutex_);
    return running_ > 0;
  }

 private:
  const std::size_t count_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> ended_;
  std::size_t running_;
};

}  // namespace

void parallel_for(std::span<Worker* const> workers, std::size_t tasks,
                  CallCancellation& cancellation,
                  const std::function<void(std::size_t, std::size_t)>& task,
                  const std::function<void(std::size_t)>& done,
                  const std::function<void(std::size_t)>& last) {
  if (workers.size() == 1 || tasks <= 1) {
    for (std::size_t i = 0; i < tasks; ++i) {
      task(0, i);
      done(i);
    }
    return last(0);
  }
  const std::size_t threads = std::min(workers.size(), tasks);
  Tasks all(tasks, threads - 1);
  const auto work = [&](std::size_t worker) {
    struct End {
      Tasks& all;
      ~End() { all.end_thread(); }
    } const end{all};
    try {
      for (std::size_t i; all.next(i);) {
        task(worker, i);
        all.end(i);
      }
      last(worker);
    } catch (const CallCancellation::Stopped&) {  // the worker that failed throws the reason
    } catch (...) {
      cancellation.stop();
      throw;
    }
  };
  const auto report = [&](const std::vector<std::size_t>& ended) {
    for (const std::size_t i : ended) done(i);
  };
  // The destructor of a std::async future waits for its thread, also when an exception passes here.
  std::vector<std::future<void>> others;
  try {
    others.reserve(threads - 1);
    try {
      for (std::size_t worker = 1; worker < threads; ++worker) {
        others.push_back(std::async(std::launch::async, work, worker));
      }
    } catch (const std::system_error&) {  // no more threads: those that there are do the work
      for (std::size_t i = others.size() + 1; i < threads; ++i) all.end_thread();
    }
    try {
      for (std::size_t i; all.next(i);) {
        task(0, i);
        all.end(i);
        report(all.ended());
      }
      last(0);
      while (all.is_running()) {
        report(all.wait());
        cancellation.check();
      }
      report(all.ended());
    } catch (const CallCancellation::Stopped&) {  // as above
    }
    for (std::future<void>& other : others) other.get();
  } catch (...) {
    cancellation.stop();
    throw;
  }
}

ForEach for_each_of(std::span<Worker* const> workers, std::size_t rows,
                    CallCancellation& cancellation) {
  const auto threads = rows < kFewRows ? workers.first(1) : workers;
  return [threads, &cancellation](std::size_t count, const std::function<void(std::size_t)>& task) {
    parallel_for(threads, count, cancellation, [&](std::size_t, std::size_t i) { task(i); });
  };
}

}  // namespace makemore
