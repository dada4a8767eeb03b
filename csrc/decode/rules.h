#pragma once

#include <cstdint>
#include <optional>

#include "coin.h"
#include "request.h"

// The rules of decoding. Every strategy and the device's loop use these.
namespace makemore {

/// Token 0 is fed first, and ends a string when it is chosen.
inline constexpr std::int64_t kStop = 0;

/// The token that a row's prompt forces after `position` tokens, if it is that long.
inline std::optional<std::int64_t> forced_token(const DecodeRequest& request, std::int64_t row,
                                                std::int64_t position) {
  const auto prompt = request.prompts.of(row);
  if (position >= std::ssize(prompt)) return std::nullopt;
  return prompt[static_cast<std::size_t>(position)];
}

/// The state of the request's filter after one more token; 0 where there is none.
inline RowFilter::State next_state(const DecodeRequest& request, RowFilter::State state,
                                   std::int64_t token) {
  return request.filter ? request.filter->next(state, token) : state;
}

/// The tokens that may be drawn, as `Sampler::prepare` takes them.
inline std::span<const std::uint8_t> allowed_tokens(const ExcludedTokens* excluded) {
  return excluded != nullptr ? excluded->allowed() : std::span<const std::uint8_t>();
}

/// The coin of a row after `position` tokens.
inline double coin_of(const DecodeRequest& request, std::int64_t row, std::int64_t position) {
  return coin(request.seed, request.first_row + static_cast<std::uint64_t>(row),
              static_cast<std::uint32_t>(position));
}

/// The token of a row after `position` tokens: forced by its prompt, or drawn with its coin.
/// `cumulative` returns the distribution as `pick` takes it; it is called only for a token that is
/// drawn.
template <class Cumulative>
std::int64_t next_token(const DecodeRequest& request, std::int64_t row, std::int64_t position,
                        Cumulative&& cumulative) {
  const auto forced = forced_token(request, row, position);
  return forced ? *forced : pick(cumulative(), coin_of(request, row, position));
}

/// Why a string ends.
enum class FinishReason : std::uint8_t {
  kNone,      ///< it is not finished
  kStop,      ///< the stop token came
  kLength,    ///< it was cut at max_length
  kRejected,  ///< it does not pass the filter, or cannot pass any more
};

/// Whether `token`, which comes after `position` tokens, ends the string. `state` is that of the
/// filter after it.
inline FinishReason finish_reason(const DecodeRequest& request, std::int64_t token,
                                  std::int64_t position, RowFilter::State state) {
  const std::int64_t left = token == kStop ? 0 : request.max_length - position - 1;
  if (request.filter && !request.filter->can_pass(state, left)) return FinishReason::kRejected;
  if (token == kStop) return FinishReason::kStop;
  return left == 0 ? FinishReason::kLength : FinishReason::kNone;
}

}  // namespace makemore
