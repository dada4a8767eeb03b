#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "excluded_tokens.h"
#include "logits_processor.h"
#include "row_filter.h"
#include "sampler.h"

namespace makemore {

/// The tokens that rows are forced to begin with: one prompt for each row, laid end to end, or a
/// single one that all rows share (`offsets` empty).
struct Prompts {
  std::span<const std::int64_t> tokens;
  std::span<const std::int64_t> offsets;  // (rows + 1,)

  std::span<const std::int64_t> of(std::int64_t row) const {
    if (offsets.empty()) return tokens;
    const auto begin = static_cast<std::size_t>(offsets[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(offsets[static_cast<std::size_t>(row) + 1]);
    return tokens.subspan(begin, end - begin);
  }

  /// Where the token at a position of a row's own prompt is in `tokens`.
  std::size_t place(std::int64_t row, std::int64_t position) const {
    return static_cast<std::size_t>(offsets[static_cast<std::size_t>(row)] + position);
  }
};

/// How rows share the work of a step. No strategy changes a string.
enum class Strategy {
  kAuto,    ///< the faster one
  kTree,    ///< rows that share a prefix share a row of the step: PrefixTreeDecoder
  kCached,  ///< rows read the prefixes kept from earlier calls: CachedDecoder
};

/// Most tokens of the strings of one call, each string's end included: with them, and what is made
/// of them, some 20 GB of memory are in use.
inline constexpr std::int64_t kMaxTokens = std::int64_t{1} << 30;

/// What a decode writes beside the strings, where a span is not empty. Rows end with their prompts
/// then: no token is drawn.
struct Records {
  /// (prompts.tokens.size(),) natural-log probability of each prompt's tokens under the model.
  std::span<double> token_log_probs;

  /// (rows, V) probabilities of the token after each prompt, as it would be drawn.
  std::span<double> distributions;

  /// Writes the probabilities of a row, of which `cumulative` (V,) is a running sum of weights.
  void set_distribution(std::int64_t row, std::span<const double> cumulative) const;

  bool empty() const { return token_log_probs.empty() && distributions.empty(); }
};

struct DecodeRequest {
  std::int64_t rows = 0;        ///< number of rows, of which those are decoded that pass
  std::uint64_t first_row = 0;  ///< number of the first row, which its coins depend on
  Prompts prompts;
  std::int64_t max_length = 0;  ///< most tokens of a string, the stop token not counted
  SamplingOptions sampling;
  std::shared_ptr<const ExcludedTokens> excluded;            ///< null: any token may be drawn
  std::vector<std::shared_ptr<LogitsProcessor>> processors;  ///< called one after the other
  std::shared_ptr<const RowFilter> filter;                   ///< null: every row passes
  std::uint64_t seed = 0;
  std::int64_t batch_size = 0;   ///< most rows of a step
  bool log_probs = true;         ///< whether to compute log-probabilities; otherwise they are 0
  bool drawn_log_probs = false;  ///< those with which tokens are drawn, not the model's own
  Strategy strategy = Strategy::kAuto;
  std::int64_t max_tokens = kMaxTokens;  ///< of all strings together, their ends included
  Records records = {};

  /// Whether logits are looked at beside a draw: processed, recorded, or told as they were drawn.
  /// The prefix tree does that alone.
  bool needs_logits() const { return !processors.empty() || !records.empty() || drawn_log_probs; }
};

/// Throws OptionError for a request that no model of `vocab_size` tokens can meet.
void validate(const DecodeRequest& request, std::int64_t vocab_size);

/// Throws OptionError where strings hold more tokens than the request allows.
void require_room(const DecodeRequest& request, std::size_t tokens);

}  // namespace makemore
