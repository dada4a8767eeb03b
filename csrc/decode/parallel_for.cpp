#include "parallel_for.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <vector>

namespace makemore {

void parallel_for(std::span<Worker* const> workers, std::size_t tasks,
                  CallCancellation& cancellation,
                  const std::function<void(Worker&, std::size_t)>& task) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&](Worker& worker) {
    try {
      for (std::size_t i = next++; i < tasks; i = next++) task(worker, i);
    } catch (const CallCancellation::Stopped&) {  // the worker that failed throws the reason
    } catch (...) {
      cancellation.stop();
      throw;
    }
  };
  // The destructor of a std::async future waits for its thread, also when an exception passes here.
  std::vector<std::future<void>> others;
  try {
    for (Worker* worker : workers.subspan(1, std::min(workers.size(), tasks) - 1)) {
      others.push_back(std::async(std::launch::async, work, std::ref(*worker)));
    }
    work(*workers.front());
    for (std::future<void>& other : others) {
      while (other.wait_for(CallCancellation::kPollInterval) != std::future_status::ready)
        cancellation.poll();
      other.get();
    }
  } catch (...) {
    cancellation.stop();
    throw;
  }
}

}  // namespace makemore
