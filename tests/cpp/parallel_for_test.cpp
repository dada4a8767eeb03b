#include "parallel_for.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "saved_step.h"

using namespace makemore;

namespace {

/// Workers that are not used for what they are made for.
struct Workers {
  explicit Workers(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) pointers.push_back(&workers.emplace_back(step));
  }

  SavedStep step;
  std::deque<Worker> workers;
  std::vector<Worker*> pointers;
};

std::vector<std::size_t> up_to(std::size_t count) {
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return numbers;
}

}  // namespace

TEST_CASE("each task runs once, and is then reported once, on the calling thread") {
  for (const std::size_t threads : {1, 2, 5}) {
    for (const std::size_t tasks : {0, 1, 2, 7, 300}) {
      Workers workers(threads);
      const Interrupts interrupts;
      CallCancellation cancellation(interrupts);
      std::vector<std::atomic<int>> run(tasks);
      std::vector<std::size_t> done;
      const auto caller = std::this_thread::get_id();
      parallel_for(
          workers.pointers, tasks, cancellation, [&](std::size_t, std::size_t i) { ++run[i]; },
          [&](std::size_t i) {
            CHECK(std::this_thread::get_id() == caller);
            CHECK(run[i] == 1);
            done.push_back(i);
          });
      std::ranges::sort(done);
      CHECK(done == up_to(tasks));
    }
  }
}

TEST_CASE("a worker runs its tasks one after the other, and then what comes last") {
  for (const std::size_t threads : {1, 2, 5}) {
    for (const std::size_t tasks : {1, 4, 300}) {
      Workers workers(threads);
      const Interrupts interrupts;
      CallCancellation cancellation(interrupts);
      std::vector<std::vector<std::size_t>> run(threads);
      std::vector<std::thread::id> thread_of(threads);
      std::vector<int> last(threads);
      parallel_for(
          workers.pointers, tasks, cancellation,
          [&](std::size_t worker, std::size_t i) {
            CHECK(last[worker] == 0);
            if (run[worker].empty()) thread_of[worker] = std::this_thread::get_id();
            CHECK(thread_of[worker] == std::this_thread::get_id());
            run[worker].push_back(i);
          },
          [](std::size_t) {}, [&](std::size_t worker) { ++last[worker]; });
      std::vector<std::size_t> all;
      for (std::size_t worker = 0; worker < threads; ++worker) {
        CHECK(std::ranges::is_sorted(run[worker]));
        CHECK(last[worker] <= 1);
        if (!run[worker].empty()) CHECK(last[worker] == 1);
        all.insert(all.end(), run[worker].begin(), run[worker].end());
      }
      std::ranges::sort(all);
      CHECK(all == up_to(tasks));
    }
  }
}

TEST_CASE("a task is reported while others run") {
  Workers workers(2);
  const Interrupts interrupts;
  CallCancellation cancellation(interrupts);
  std::atomic<bool> reported = false;
  const auto caller = std::this_thread::get_id();
  parallel_for(
      workers.pointers, 8, cancellation,
      [&](std::size_t, std::size_t) {
        if (std::this_thread::get_id() == caller) return;
        while (!reported) std::this_thread::yield();  // for ever, if it came at the end alone
      },
      [&](std::size_t) { reported = true; });
  CHECK(reported);
}

TEST_CASE("what a task or a report throws ends all, and is thrown") {
  for (const bool by_task : {false, true}) {
    for (const std::size_t threads : {1, 3}) {
      Workers workers(threads);
      const Interrupts interrupts;
      CallCancellation cancellation(interrupts);
      std::atomic<int> run = 0;
      const auto fail = [](std::size_t i) {
        if (i == 5) throw std::runtime_error("number 5");
      };
      CHECK_THROWS_WITH_AS(parallel_for(
                               workers.pointers, 1'000'000, cancellation,
                               [&](std::size_t, std::size_t i) {
                                 cancellation.check();
                                 ++run;
                                 if (by_task) fail(i);
                               },
                               [&](std::size_t i) {
                                 if (!by_task) fail(i);
                               }),
                           "number 5", std::runtime_error);
      CHECK(run < 1'000'000);
    }
  }
}

TEST_CASE("what comes last on a worker may throw") {
  for (const std::size_t thrower : {0, 1}) {
    Workers workers(2);
    const Interrupts interrupts;
    CallCancellation cancellation(interrupts);
    CHECK_THROWS_WITH_AS(
        parallel_for(
            workers.pointers, 2, cancellation, [](std::size_t, std::size_t) {}, [](std::size_t) {},
            [&](std::size_t worker) {
              if (worker == thrower) throw std::runtime_error("at last");
            }),
        "at last", std::runtime_error);
  }
}

TEST_CASE("a caller that waits for the last task is interrupted") {
  Workers workers(2);
  int polls = 0;
  Interrupts interrupts;
  interrupts.poll = [&] {
    if (++polls == 2) throw std::runtime_error("interrupted");
  };
  CallCancellation cancellation(interrupts);
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> begun = false;
  CHECK_THROWS_WITH_AS(parallel_for(workers.pointers, 2, cancellation,
                                    [&](std::size_t, std::size_t) {
                                      if (std::this_thread::get_id() == caller) {
                                        while (!begun) std::this_thread::yield();
                                        return;
                                      }
                                      begun = true;
                                      for (;;) {
                                        cancellation.check();
                                        std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                      }
                                    }),
                       "interrupted", std::runtime_error);
}
