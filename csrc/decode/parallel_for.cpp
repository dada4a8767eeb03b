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
                  const std::function<void(Worker&, std::size_t)>& task,
                  const std::function<void(std::size_t)>& done) {
  if (workers.size() == 1 || tasks <= 1) {
    for (std::size_t i = 0; i < tasks; ++i) {
      task(*workers.front(), i);
      done(i);
    }
    return;
  }
  const auto others = workers.subspan(1, std::min(workers.size(), tasks) - 1);
  Tasks all(tasks, others.size());
  const auto work = [&](Worker& worker) {
    struct End {
      Tasks& all;
      ~End() { all.end_thread(); }
    } const end{all};
    try {
      for (std::size_t i; all.next(i);) {
        task(worker, i);
        all.end(i);
      }
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
  std::vector<std::future<void>> threads;
  try {
    threads.reserve(others.size());
    try {
      for (Worker* worker : others) {
        threads.push_back(std::async(std::launch::async, work, std::ref(*worker)));
      }
    } catch (const std::system_error&) {  // no more threads: those that there are do the work
      for (std::size_t i = threads.size(); i < others.size(); ++i) all.end_thread();
    }
    try {
      for (std::size_t i; all.next(i);) {
        task(*workers.front(), i);
        all.end(i);
        report(all.ended());
      }
      while (all.is_running()) {
        report(all.wait());
        cancellation.check();
      }
      report(all.ended());
    } catch (const CallCancellation::Stopped&) {  // as above
    }
    for (std::future<void>& thread : threads) thread.get();
  } catch (...) {
    cancellation.stop();
    throw;
  }
}

ForEach for_each_of(std::span<Worker* const> workers, std::size_t rows,
                    CallCancellation& cancellation) {
  const auto threads = rows < kFewRows ? workers.first(1) : workers;
  return [threads, &cancellation](std::size_t count, const std::function<void(std::size_t)>& task) {
    parallel_for(threads, count, cancellation, [&](Worker&, std::size_t i) { task(i); });
  };
}

}  // namespace makemore
