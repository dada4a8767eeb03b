#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

namespace makemore {

namespace py = pybind11;

/// The calls that run without the GIL. When the interpreter exits, those of other threads are ended
/// first: CPython before 3.14 ends a daemon thread that asks for the GIL later by unwinding its
/// frames, which aborts the process where they are C++. Such a thread sleeps until the process is
/// gone instead, as it does in later versions.
class RunningCalls {
 public:
  /// Returns what `work` returns or throws; it runs without the GIL.
  template <class Work>
  static auto without_gil(const Work& work) {
    ++count_;
    PyThreadState* thread = PyEval_SaveThread();
    std::optional<decltype(work())> result;
    std::exception_ptr error;
    try {
      if (!must_end()) result.emplace(work());
    } catch (...) {
      error = std::current_exception();
    }
    if (must_end()) sleep_for_ever();
    PyEval_RestoreThread(thread);
    --count_;
    if (error) std::rethrow_exception(std::move(error));
    return *std::move(result);
  }

  /// Called by `work`, on the same thread: runs a part of it with the GIL. Throws to end the call
  /// when the interpreter exits.
  template <class Part>
  static void with_gil(const Part& part) {
    if (must_end()) throw Exiting();
    const py::gil_scoped_acquire gil;
    part();
  }

  /// Called by `work` now and then. Throws what a signal handler raises (Ctrl-C), and to end the
  /// call when the interpreter exits.
  static void poll() {
    with_gil([] {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    });
  }

  /// Called when the interpreter exits.
  static void end_all() {
    exiting_thread_ = std::this_thread::get_id();
    exiting_ = true;
    const py::gil_scoped_release no_gil;
    const auto deadline = Clock::now() + kMaxWait;
    while (count_ > 0 && Clock::now() < deadline) std::this_thread::sleep_for(kPause);
  }

  /// Called in the child of a fork, which has none of the other threads.
  static void forget_all() { count_ = 0; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Exiting {};

  static constexpr std::chrono::seconds kMaxWait{5};  // for a step that does not end
  static constexpr std::chrono::milliseconds kPause{1};

  static bool must_end() { return exiting_ && std::this_thread::get_id() != exiting_thread_; }

  [[noreturn]] static void sleep_for_ever() {
    --count_;
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }

  inline static std::atomic<int> count_ = 0;
  inline static std::atomic<bool> exiting_ = false;
  inline static std::thread::id exiting_thread_;  // set before exiting_
};

}  // namespace makemore
