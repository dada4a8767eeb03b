#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "decoded.h"

namespace makemore {

/// The strings that a call made, and where each begins among their tokens.
struct Strings : Decoded {
  explicit Strings(Decoded decoded) : Decoded(std::move(decoded)), offsets(lengths.size() + 1) {
    std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1);
  }

  std::vector<std::int64_t> offsets;
};

}  // namespace makemore
