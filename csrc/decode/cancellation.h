#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

namespace makemore {

/// Lets the workers of one call stop together, and the caller interrupt them (Ctrl-C).
class CancellationToken {
 public:
  static constexpr std::chrono::milliseconds kInterval{50};

  /// Thrown by `check` in a worker that stops because of another; never leaves the call.
  struct Stopped {};

  /// Made on the calling thread. `poll` runs there only, and throws to interrupt.
  explicit CancellationToken(std::function<void()> poll) : poll_(std::move(poll)) {}

  void stop() { stopped_ = true; }

  /// Once a step, in every worker.
  void check() {
    if (stopped_) throw Stopped();
    if (std::this_thread::get_id() == caller_ && Clock::now() - polled_ >= kInterval) poll();
  }

  /// On the calling thread.
  void poll() {
    polled_ = Clock::now();
    poll_();
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::function<void()> poll_;
  std::thread::id caller_ = std::this_thread::get_id();
  Clock::time_point polled_ = Clock::now();
  std::atomic<bool> stopped_ = false;
};

}  // namespace makemore
