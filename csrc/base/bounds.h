#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

/// Makes room for `rows` rows of `size` each. Throws OptionError where memory does not hold them.
template <class T>
void resize_rows(std::vector<T>& memory, std::size_t rows, std::size_t size) {
  try {
    const auto bytes = checked_product({rows, size, sizeof(T)});
    if (bytes) return memory.resize(*bytes / sizeof(T));
  } catch (const std::bad_alloc&) {
  }
  throw OptionError(std::to_string(rows) + " rows do not fit in memory: each takes " +
                    std::to_string(size) + " times " + std::to_string(sizeof(T)) + " bytes");
}

}  // namespace makemore
