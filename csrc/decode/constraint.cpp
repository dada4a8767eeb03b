#include "constraint.h"

#include <string>

#include "errors.h"

namespace makemore {

ExcludedTokens::ExcludedTokens(std::span<const std::int64_t> ids, std::int64_t vocab_size)
    : allowed_(static_cast<std::size_t>(vocab_size), 1) {
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      throw OptionError("an excluded token is " + std::to_string(id) +
                        "; it must be >= 0 and below " + std::to_string(vocab_size));
    }
    allowed_[static_cast<std::size_t>(id)] = 0;
  }
}

}  // namespace makemore
