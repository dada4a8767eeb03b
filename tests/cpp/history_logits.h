#pragma once

#include <cstdint>
#include <vector>

namespace makemore {

using Ids = std::vector<std::int64_t>;
inline constexpr std::int64_t kVocabSize = 5;

/// A model to test with: logits that depend on every token ever fed.
inline std::vector<float> history_logits(const Ids& fed) {
  std::uint32_t hash = 17;
  for (const std::int64_t token : fed) hash = hash * 31 + static_cast<std::uint32_t>(token);
  std::vector<float> logits(kVocabSize);
  for (float& logit : logits) logit = static_cast<float>((hash = hash * 1103515245 + 12345) >> 30);
  return logits;
}

}  // namespace makemore
