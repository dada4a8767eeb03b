#pragma once

#include <cstddef>
#include <vector>

namespace makemore {

/// Memory aligned to the widest vector.
struct alignas(64) Line {
  float values[16];
};

/// As many lines as hold `bytes`.
inline std::vector<Line> lines(std::size_t bytes) {
  return std::vector<Line>((bytes + sizeof(Line) - 1) / sizeof(Line));
}

}  // namespace makemore
