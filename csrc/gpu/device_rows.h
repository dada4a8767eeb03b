#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "decoded.h"
#include "request.h"

namespace makemore {

/// The rows of a request that no slot has taken, or that are to start again. Threads share them.
class DeviceRows {
 public:
  explicit DeviceRows(const DecodeRequest& request) : request_(request) {}

  std::optional<std::int64_t> next() {
    const std::lock_guard lock(mutex_);
    if (!restarted_.empty()) {
      const std::int64_t row = restarted_.back();
      restarted_.pop_back();
      return row;
    }
    if (started_ == request_.rows) return std::nullopt;
    return started_++;
  }

  void restart(std::int64_t row) {
    const std::lock_guard lock(mutex_);
    restarted_.push_back(row);
  }

  bool has_next() {
    const std::lock_guard lock(mutex_);
    return !restarted_.empty() || started_ < request_.rows;
  }

  /// A row has one more token. Throws where there is no room for it.
  void count_token() { require_room(request_, ++tokens_); }
  void drop_tokens(std::size_t count) { tokens_ -= count; }

 private:
  const DecodeRequest& request_;
  std::mutex mutex_;
  std::int64_t started_ = 0;             // rows below have been started
  std::vector<std::int64_t> restarted_;  // rows below `started_` to start again
  std::atomic<std::size_t> tokens_ = 0;  // generated so far
};

}  // namespace makemore
