#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace makemore {

/// Tokens that are never drawn: a mask before the draw, so that the others share their probability.
class ExcludedTokens {
 public:
  /// Throws OptionError for an id that is not of the vocabulary.
  ExcludedTokens(std::span<const std::int64_t> ids, std::int64_t vocab_size);

  /// (V,) 1 for each token that may be drawn, 0 for the others.
  std::span<const std::uint8_t> allowed() const { return allowed_; }

  bool operator==(const ExcludedTokens&) const = default;

 private:
  std::vector<std::uint8_t> allowed_;
};

/// Throws OptionError unless it is for as many tokens.
void require_vocab_size(const ExcludedTokens& excluded, std::int64_t vocab_size);

}  // namespace makemore
