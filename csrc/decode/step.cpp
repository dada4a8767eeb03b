#include "step.h"

#include <array>
#include <string>

#include "errors.h"

namespace makemore {

std::shared_ptr<const Start> Step::start() {
  constexpr std::array<std::int64_t, 1> kZero{0};
  restore(std::array{std::optional(StateSnapshot())});
  const auto logits = run(kZero, kZero);
  return std::make_shared<const Start>(Start{{logits.begin(), logits.end()}, save(0)});
}

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

}  // namespace makemore
