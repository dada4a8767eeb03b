#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "call_cancellation.h"
#include "worker.h"

namespace makemore {

/// Runs tasks 0 to `tasks` - 1, each on the first worker that is free. A worker has a thread; that
/// of the first is the calling thread. An exception of a task stops all workers and is thrown here.
void parallel_for(std::span<Worker* const> workers, std::size_t tasks,
                  CallCancellation& cancellation,
                  const std::function<void(Worker&, std::size_t)>& task);

}  // namespace makemore
