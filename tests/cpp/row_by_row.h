#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "coin.h"
#include "decode.h"

namespace makemore {

/// The logits after the tokens fed so far, token 0 first.
using LogitsOf = std::function<std::vector<float>(const std::vector<std::int64_t>&)>;

/// A request decoded one row and one token at a time: the definition, with no batch about it.
inline Decoded row_by_row(const LogitsOf& logits_of, std::int64_t vocab_size,
                          const DecodeRequest& request) {
  Decoded out;
  Sampler sampler(request.sampling, vocab_size);
  for (std::int64_t row = 0; row < request.rows; ++row) {
    std::vector<std::int64_t> fed{0};
    double log_prob = 0;
    bool stopped = false;
    RowFilter::State state = 0;
    while (!stopped && std::ssize(fed) <= request.max_length) {
      const auto logits = logits_of(fed);
      const auto prompt = request.prompts.of(row);
      const std::size_t position = fed.size() - 1;
      std::int64_t token = 0;
      if (position < prompt.size()) {
        token = prompt[position];
      } else {
        auto processed = logits;
        const std::vector<std::int32_t> prefix(fed.begin() + 1, fed.end());
        for (const auto& processor : request.processors) processor->process(prefix, processed);
        if (request.excluded) {
          sampler.prepare(processed, request.excluded->allowed());
        } else {
          sampler.prepare(processed);
        }
        token = sampler.pick(coin(request.seed, request.first_row + static_cast<std::uint64_t>(row),
                                  static_cast<std::uint32_t>(position)));
      }
      log_prob += logits[static_cast<std::size_t>(token)] - log_sum_exp(logits);
      stopped = token == 0;
      if (request.filter) state = request.filter->next(state, token);
      if (!stopped) fed.push_back(token);
    }
    if (request.filter && !request.filter->accepts(state)) continue;
    out.rows.push_back(row);
    out.tokens.insert(out.tokens.end(), fed.begin() + 1, fed.end());
    out.lengths.push_back(std::ssize(fed) - 1);
    out.log_probs.push_back(log_prob);
    out.finished.push_back(stopped ? 1 : 0);
  }
  return out;
}

}  // namespace makemore
