#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <utility>

namespace makemore {

/// One step of a model that is a state machine, for a batch of rows:
/// (token, position, state) -> (logits, next state). Decoding knows nothing else about a model.
class Step {
 public:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  /// V, the number of logits of a row.
  virtual std::int64_t vocab_size() const = 0;

  /// Starts `rows` new rows with zero state. With 0 rows, large buffers are freed.
  virtual void reset(std::int64_t rows) = 0;

  /// Feeds each row its token at its position, both (B,), and advances the state. Returns the
  /// logits (B, V) of the next token, valid until the next call.
  virtual std::span<const float> run(std::span<const std::int64_t> tokens,
                                     std::span<const std::int64_t> positions) = 0;

  /// Row i becomes what row parents[i] was; there may be fewer or more rows than before. A parent
  /// either keeps its own place, parents[p] == p, or lies past the new end: rows can then be copied
  /// in place, in any order.
  virtual void select(std::span<const std::int64_t> parents) = 0;

 protected:
  // Checks for implementations; each throws OptionError.
  static void require_rows(std::int64_t rows);
  static void require_fit(std::int64_t rows, std::span<const std::int64_t> tokens,
                          std::span<const std::int64_t> positions);
  static void require_parents(std::int64_t rows, std::span<const std::int64_t> parents);

 private:
  friend class StepLock;
  std::atomic<bool> locked_ = false;
};

/// Holds a step for one call, on any of its threads: no other call can use it meanwhile.
class StepLock {
 public:
  /// Throws OptionError where the step is held already, also by this call.
  explicit StepLock(Step& step);
  StepLock(StepLock&& other) noexcept : step_(std::exchange(other.step_, nullptr)) {}
  StepLock& operator=(StepLock&&) = delete;
  ~StepLock();

 private:
  Step* step_;
};

/// Runs a step, and throws StepError unless it returns the logits of exactly these rows.
std::span<const float> run_checked(Step& step, std::span<const std::int64_t> tokens,
                                   std::span<const std::int64_t> positions);

}  // namespace makemore
