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

/// What the request's constraint knows after the empty prefix.
inline Constraint::State start_state(const DecodeRequest& request) {
  return request.constraint ? request.constraint->start() : 0;
}

/// What it knows after one more token.
inline Constraint::State next_state(const DecodeRequest& request, Constraint::State state,
                                    std::int64_t token) {
  return request.constraint ? request.constraint->next(state, token) : state;
}

/// The tokens that may follow, as `Sampler::prepare` takes them.
inline std::span<const std::uint8_t> allowed_tokens(const Constraint* constraint,
                                                    Constraint::State state) {
  return constraint != nullptr ? constraint->allowed(state) : std::span<const std::uint8_t>();
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
  kNone,    ///< it is not finished
  kStop,    ///< the stop token came
  kLength,  ///< it was cut at max_length
};

/// Whether `token`, which comes after `position` tokens, ends the string.
inline FinishReason finish_reason(const DecodeRequest& request, std::int64_t token,
                                  std::int64_t position) {
  if (token == kStop) return FinishReason::kStop;
  return position + 1 == request.max_length ? FinishReason::kLength : FinishReason::kNone;
}

}  // namespace makemore
