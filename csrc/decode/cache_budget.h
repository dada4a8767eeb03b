#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace makemore {

class CacheBudget;

/// What one prefix cache may use of a budget; given back when it is destroyed.
class CacheShare {
 public:
  explicit CacheShare(std::shared_ptr<CacheBudget> budget) : budget_(std::move(budget)) {}
  CacheShare(CacheShare&&) = default;
  CacheShare& operator=(CacheShare&&) = delete;
  ~CacheShare();

  /// It becomes smaller while there are more caches.
  std::size_t bytes() const;

 private:
  std::shared_ptr<CacheBudget> budget_;
};

/// The memory that all prefix caches of a sampler may use together. They have equal shares of it,
/// and there are only as many caches as have a share worth having. Threads may share a budget.
class CacheBudget {
 public:
  static constexpr std::size_t kDefaultBytes = std::size_t{128} << 20;
  static constexpr std::size_t kMinShareBytes = std::size_t{2} << 20;

  /// 0 bytes: no cache at all.
  explicit CacheBudget(std::size_t bytes) : bytes_(bytes) {}

  /// Whether a call that may have caches has succeeded.
  bool was_called() const { return was_called_; }
  void set_called() { was_called_ = true; }

  /// The share of each cache, if there were `more` caches than there are.
  std::size_t share_bytes(std::size_t more = 0) const {
    return bytes_ / std::max<std::size_t>(1, caches_ + more);
  }

  /// A share for one more cache; none where shares would become too small.
  static std::optional<CacheShare> take_share(const std::shared_ptr<CacheBudget>& budget) {
    std::size_t caches = budget->caches_;
    do {
      const bool first = caches == 0 && budget->bytes_ > 0;
      if (!first && budget->bytes_ / (caches + 1) < kMinShareBytes) return std::nullopt;
    } while (!budget->caches_.compare_exchange_weak(caches, caches + 1));
    return std::optional<CacheShare>(std::in_place, budget);
  }

 private:
  friend class CacheShare;

  const std::size_t bytes_;
  std::atomic<std::size_t> caches_ = 0;
  std::atomic<bool> was_called_ = false;
};

inline CacheShare::~CacheShare() {
  if (budget_ != nullptr) --budget_->caches_;
}

inline std::size_t CacheShare::bytes() const { return budget_->share_bytes(); }

}  // namespace makemore
