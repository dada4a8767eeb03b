#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "call_cancellation.h"
#include "output.h"
#include "worker.h"

namespace makemore {

/// Runs `task(worker, i)` for each i below `tasks`, in order, on the first worker that is free. A
/// worker has a thread, which calls `last` after its tasks. That of the first is the calling
/// thread, which calls `done` with each task that has ended, soon after. An exception of any of
/// these stops all workers and is thrown here.
void parallel_for(
    std::span<Worker* const> workers, std::size_t tasks, CallCancellation& cancellation,
    const std::function<void(std::size_t worker, std::size_t task)>& task,
    const std::function<void(std::size_t task)>& done = [](std::size_t) {},
    const std::function<void(std::size_t worker)>& last = [](std::size_t) {});

/// What divides the work on `rows` rows among the threads of workers, if they are not too few.
ForEach for_each_of(std::span<Worker* const> workers, std::size_t rows,
                    CallCancellation& cancellation);

}  // namespace makemore
