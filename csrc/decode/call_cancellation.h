#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "cancellation.h"
#include "errors.h"

namespace makemore {

/// Who may end a call early: its caller by a token, its caller's thread by an interrupt (Ctrl-C),
/// which `poll` reports. Both may be null.
struct Interrupts {
  std::function<void()> poll = [] {};        ///< called on the calling thread; throws to interrupt
  const CancellationToken* token = nullptr;  ///< must outlive the call
};

/// Ends all workers of one call: when its caller asks for it, or when one of them fails.
class CallCancellation {
 public:
  /// Longest time between two polls, or one step where that is longer.
  static constexpr std::chrono::milliseconds kPollInterval{50};

  /// What `check` throws in a worker because another one failed. It never leaves the call.
  struct Stopped {};

  /// Made on the calling thread.
  explicit CallCancellation(const Interrupts& interrupts) : interrupts_(interrupts) {}

  void stop() { stopped_.store(true, std::memory_order_relaxed); }

  /// Called before each step, on any thread.
  void check() {
    if (stopped_.load(std::memory_order_relaxed)) throw Stopped();
    check_token();
    const bool due =
        std::this_thread::get_id() == caller_ && Clock::now() - polled_ >= kPollInterval;
    if (due) poll();
  }

  /// Called on the calling thread.
  void poll() {
    check_token();
    polled_ = Clock::now();
    interrupts_.poll();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void check_token() const {
    const CancellationToken* token = interrupts_.token;
    if (token != nullptr && token->is_cancelled()) throw CancelledError("the call was cancelled");
  }

  const Interrupts& interrupts_;
  std::thread::id caller_ = std::this_thread::get_id();
  Clock::time_point polled_ = Clock::now();
  std::atomic<bool> stopped_ = false;
};

}  // namespace makemore
