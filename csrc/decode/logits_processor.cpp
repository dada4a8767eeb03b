#include "logits_processor.h"

#include <cmath>
#include <string>
#include <vector>

#include "errors.h"

namespace makemore {

RepetitionPenalty::RepetitionPenalty(double penalty) : penalty_(static_cast<float>(penalty)) {
  if (!(penalty >= 1) || !std::isfinite(penalty_)) {
    throw OptionError("penalty is " + std::to_string(penalty) +
                      "; it must be a finite number >= 1");
  }
}

void RepetitionPenalty::process(std::span<const std::int32_t> prefix,
                                std::span<float> logits) const {
  std::vector<bool> seen(logits.size());
  for (const std::int32_t token : prefix) {
    const auto id = static_cast<std::size_t>(token);
    if (seen[id]) continue;
    seen[id] = true;
    logits[id] = logits[id] > 0 ? logits[id] / penalty_ : logits[id] * penalty_;
  }
}

}  // namespace makemore
