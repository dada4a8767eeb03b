#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "errors.h"

// Sizes that come from a file or from a caller are checked here before they are computed with.
namespace makemore {

/// The product of sizes; nothing where it is more than can be addressed. A negative size that was
/// converted to std::size_t is more than that, too.
inline std::optional<std::size_t> checked_product(std::initializer_list<std::size_t> sizes) {
  constexpr std::size_t kLargest = std::numeric_limits<std::ptrdiff_t>::max();
  std::size_t product = 1;
  for (const std::size_t size : sizes) {
    if (size > kLargest || (size > 0 && product > kLargest / size)) return std::nullopt;
    product *= size;
  }
  return product;
}

/// Throws OptionError unless each value is an index below `limit`; `name` says what they are.
inline void require_below(const char* name, std::span<const std::int64_t> values,
                          std::int64_t limit) {
  for (const std::int64_t value : values) {
    if (value < 0 || value >= limit) {
      throw OptionError(std::string(name) + " is " + std::to_string(value) +
                        "; it must be >= 0 and below " + std::to_string(limit));
    }
  }
}

}  // namespace makemore
