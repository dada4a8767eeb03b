#include "snapshot_step.h"

#include <array>

namespace makemore {

FirstStep run_first_step(SnapshotStep& step) {
  constexpr std::array<std::int64_t, 1> kZero{0};
  step.reset(1);
  const auto logits = run_checked(step, kZero, kZero);
  return {{logits.begin(), logits.end()}, step.save(0)};
}

}  // namespace makemore
