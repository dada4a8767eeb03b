#include "request.h"

#include <algorithm>
#include <string>

#include "errors.h"

namespace makemore {
namespace {

void require(bool good, const char* name, std::int64_t value, const std::string& limit) {
  if (!good) throw OptionError(std::string(name) + " is " + std::to_string(value) + "; " + limit);
}

void require_size(const char* name, std::span<const double> record, std::size_t size) {
  if (record.empty() || record.size() == size) return;
  throw OptionError(std::string(name) + " has room for " + std::to_string(record.size()) +
                    " numbers; " + std::to_string(size) + " are to be written");
}

}  // namespace

void validate(const DecodeRequest& request, std::int64_t vocab_size) {
  require(request.rows >= 0, "n", request.rows, "it must be >= 0");
  require(request.rows <= request.max_tokens, "n", request.rows,
          "a call holds at most " + std::to_string(request.max_tokens) +
              " tokens, and each string has its end; use several calls, with first_row");
  require(request.max_length >= 1, "max_length", request.max_length, "it must be >= 1");
  require(request.batch_size >= 1, "batch_size", request.batch_size, "it must be >= 1");
  for (const std::int64_t token : request.prompts.tokens) {
    require(token >= 0 && token < vocab_size, "a token", token,
            "the vocabulary has " + std::to_string(vocab_size));
  }
  if (request.excluded) require_vocab_size(*request.excluded, vocab_size);
  if (request.filter && request.filter->vocab_size() != vocab_size) {
    throw OptionError("a filter is for " + std::to_string(request.filter->vocab_size()) +
                      " tokens; the vocabulary has " + std::to_string(vocab_size));
  }
  const auto offsets = request.prompts.offsets;
  const bool one_each = offsets.size() == static_cast<std::size_t>(request.rows) + 1 &&
                        offsets.front() == 0 && std::ranges::is_sorted(offsets) &&
                        offsets.back() == static_cast<std::int64_t>(request.prompts.tokens.size());
  if (!offsets.empty() && !one_each) throw OptionError("offsets must part the prompts of n rows");
  if (!request.records.empty() && offsets.empty()) {
    throw OptionError("records need the offsets of a prompt for each row");
  }
  if (request.drawn_log_probs && !request.prompts.tokens.empty()) {
    throw OptionError("no token of a prompt is drawn, so that it has no drawn_log_probs");
  }
  require_size("token_log_probs", request.records.token_log_probs, request.prompts.tokens.size());
  require_size("distributions", request.records.distributions,
               static_cast<std::size_t>(request.rows * vocab_size));
}

void Records::set_distribution(std::int64_t row, std::span<const double> cumulative) const {
  const auto out = distributions.subspan(static_cast<std::size_t>(row) * cumulative.size());
  double before = 0;
  for (std::size_t id = 0; id < cumulative.size(); ++id) {
    out[id] = (cumulative[id] - before) / cumulative.back();
    before = cumulative[id];
  }
}

void require_room(const DecodeRequest& request, std::size_t tokens) {
  if (tokens + static_cast<std::size_t>(request.rows) <=
      static_cast<std::size_t>(request.max_tokens)) {
    return;
  }
  throw OptionError("the strings hold more than " + std::to_string(request.max_tokens) +
                    " tokens, their ends included; use several calls, with first_row, or a smaller "
                    "max_length");
}

}  // namespace makemore
