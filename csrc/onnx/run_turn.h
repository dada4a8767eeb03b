#pragma once

#include <algorithm>
#include <cstddef>
#include <semaphore>
#include <thread>

namespace makemore {

/// A turn to run a session. There are as many in the process as the machine has cores: ONNX Runtime
/// never frees the working memory of runs that went on at the same time. A fork takes all of them,
/// so that no lock of ONNX Runtime is held in its child, which has no thread that would release it.
class RunTurn {
 public:
  RunTurn() { turns().acquire(); }
  RunTurn(const RunTurn&) = delete;
  RunTurn& operator=(const RunTurn&) = delete;
  ~RunTurn() { turns().release(); }

  /// Waits until no session runs. Called before a fork, by the thread that forks.
  static void take_all() {
    if (forks_++ > 0) return;  // the module was initialized twice, and calls this as often
    for (std::ptrdiff_t i = 0; i < count(); ++i) turns().acquire();
  }

  /// Called after the fork, by that thread and by its copy in the child.
  static void give_all_back() {
    if (--forks_ == 0) turns().release(count());
  }

 private:
  static std::ptrdiff_t count() {
    static const std::ptrdiff_t cores = std::max(1U, std::thread::hardware_concurrency());
    return cores;
  }
  static std::counting_semaphore<>& turns() {
    static std::counting_semaphore<> all(count());
    return all;
  }

  inline static int forks_ = 0;
};

}  // namespace makemore
