#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <future>
#include <span>
#include <vector>

#include "cancellation.h"
#include "decode.h"

namespace makemore {

/// Does tasks 0 to `tasks` - 1, parallel_for over the workers.
void parallel_for(std::span<Worker* const> workers, std::size_t tasks,
                  CancellationToken& cancellation,
                  const std::function<void(Worker&, std::size_t)>& task) {
  std::atomic<std::size_t> taken = 0;
  const auto work = [&](Worker& worker) {
    try {
      for (std::size_t i = taken++; i < tasks; i = taken++) task(worker, i);
    } catch (const CancellationToken::Stopped&) {  // the worker that failed tells why
    } catch (...) {
      cancellation.stop();
      throw;
    }
  };
  // A future of std::async waits for its thread when it goes, also when one of us throws.
  std::vector<std::future<void>> others;
  try {
    for (Worker* worker : workers.subspan(1, std::min(workers.size(), tasks) - 1)) {
      others.push_back(std::async(std::launch::async, work, std::ref(*worker)));
    }
    work(*workers.front());
    for (std::future<void>& other : others) {
      while (other.wait_for(CancellationToken::kInterval) != std::future_status::ready)
        cancellation.poll();
      other.get();
    }
  } catch (...) {
    cancellation.stop();
    throw;
  }
}

}  // namespace makemore
