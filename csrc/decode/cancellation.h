#pragma once

#include <atomic>

namespace makemore {

/// Cancels the calls that it was given to, from any thread. It stays cancelled.
class CancellationToken {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool is_cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_ = false;
};

}  // namespace makemore
