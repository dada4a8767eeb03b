#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampler.h"

namespace makemore {

/// The tokens that rows are made to say before they speak for themselves: one prompt a row, laid
/// end to end, or a single one that all rows share (`offsets` empty).
struct Prompts {
  std::span<const std::int64_t> tokens;
  std::span<const std::int64_t> offsets;  // (rows + 1,)

  std::span<const std::int64_t> of(std::int64_t row) const {
    if (offsets.empty()) return tokens;
    const auto begin = static_cast<std::size_t>(offsets[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(offsets[static_cast<std::size_t>(row) + 1]);
    return tokens.subspan(begin, end - begin);
  }
};

struct DecodeRequest {
  std::int64_t rows = 0;        ///< how many strings to make
  std::uint64_t first_row = 0;  ///< number of the first one, which its coins hang on
  Prompts prompts;
  std::int64_t max_length = 0;  ///< most tokens of a string, the stop token not counted
  SamplingOptions sampling;
  std::uint64_t seed = 0;
  std::int64_t batch_size = 0;  ///< most rows decoded together
  bool log_probs = true;        ///< whether the log-probabilities are wanted; else they are 0
};

/// Throws OptionError for a request that no model of `vocab_size` tokens can meet.
void validate(const DecodeRequest& request, std::int64_t vocab_size);

/// Strings as token ids, without start and stop, laid end to end in row order.
struct Decoded {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> lengths;   ///< (rows,)
  std::vector<double> log_probs;       ///< (rows,) of each string under the model itself, in nats
  std::vector<std::uint8_t> finished;  ///< (rows,) 1: the stop token came, 0: cut at max_length

  void clear() {
    tokens.clear();
    lengths.clear();
    log_probs.clear();
    finished.clear();
  }
};

}  // namespace makemore
