#include "step.h"

#include <string>

#include "errors.h"

namespace makemore {

void Step::require_rows(std::int64_t rows) {
  if (rows < 0) throw OptionError("rows is " + std::to_string(rows) + "; it must be >= 0");
}

void Step::require_fit(std::int64_t rows, std::span<const std::int64_t> tokens,
                       std::span<const std::int64_t> positions) {
  if (std::ssize(tokens) != rows || std::ssize(positions) != rows) {
    throw OptionError("a step of " + std::to_string(rows) + " rows was given " +
                      std::to_string(tokens.size()) + " tokens and " +
                      std::to_string(positions.size()) + " positions");
  }
}

void Step::require_parents(std::int64_t rows, std::span<const std::int64_t> parents) {
  for (const std::int64_t parent : parents) {
    if (parent < 0 || parent >= rows) {
      throw OptionError("parent " + std::to_string(parent) + " is none of the " +
                        std::to_string(rows) + " rows");
    }
  }
}

StepLock::StepLock(Step& step) : step_(&step) {
  if (step.locked_.exchange(true, std::memory_order_acquire)) {
    throw OptionError("a step is in use by another call; each call needs a step of its own");
  }
}

StepLock::~StepLock() {
  if (step_ != nullptr) step_->locked_.store(false, std::memory_order_release);
}

std::span<const float> run_checked(Step& step, std::span<const std::int64_t> tokens,
                                   std::span<const std::int64_t> positions) {
  const std::span<const float> logits = step.run(tokens, positions);
  const std::size_t expected = tokens.size() * static_cast<std::size_t>(step.vocab_size());
  if (logits.size() != expected) {
    throw StepError("a step of " + std::to_string(tokens.size()) + " rows returned " +
                    std::to_string(logits.size()) + " logits; it must return " +
                    std::to_string(expected) + ", a row of " + std::to_string(step.vocab_size()) +
                    " each");
  }
  return logits;
}

}  // namespace makemore
