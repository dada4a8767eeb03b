#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "call_cancellation.h"
#include "output.h"
#include "worker.h"

namespace makemore {

/// Runs tasks 0 to `tasks` - 1, each on the first worker that is free. A worker has a thread; that
/// of the first is the calling thread, which calls `done` with each task that has ended, soon
/// after. An exception of a task, or of `done`, stops all workers and is thrown here.
void parallel_for(
    std::span<Worker* const> workers, std::size_t tasks, CallCancellation& cancellation,
    const std::function<void(Worker&, std::size_t)>& task,
    const std::function<void(std::size_t)>& done = [](std::size_t) {});

/// What divides the work on `rows` rows among the threads of workers, if they are not too few.
ForEach for_each_of(std::span<Worker* const> workers, std::size_t rows,
                    CallCancellation& cancellation);

}  // namespace makemore
