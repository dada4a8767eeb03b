#include "excluded_tokens.h"

#include <algorithm>
#include <string>

#include "errors.h"

namespace makemore {

ExcludedTokens::ExcludedTokens(std::span<const std::int64_t> ids, std::int64_t vocab_size)
    : allowed_(static_cast<std::size_t>(std::max(vocab_size, std::int64_t{0})), 1) {
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      throw OptionError("an excluded token is " + std::to_string(id) +
                        "; it must be >= 0 and below " + std::to_string(vocab_size));
    }
    allowed_[static_cast<std::size_t>(id)] = 0;
  }
}

void require_vocab_size(const ExcludedTokens& excluded, std::int64_t vocab_size) {
  const std::int64_t found = std::ssize(excluded.allowed());
  if (found == vocab_size) return;
  throw OptionError("the mask of excluded tokens is for " + std::to_string(found) +
                    "; the vocabulary has " + std::to_string(vocab_size));
}

}  // namespace makemore
