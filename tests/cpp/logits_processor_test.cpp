#include "logits_processor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "decode.h"
#include "errors.h"
#include "row_by_row.h"
#include "saved_step.h"

using namespace makemore;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// No token may follow itself; after three tokens, no 4 at all.
class NeverTwice final : public LogitsProcessor {
 public:
  void process(std::span<const std::int32_t> prefix, std::span<float> logits) const override {
    if (!prefix.empty()) logits[static_cast<std::size_t>(prefix.back())] = -kInfinity;
    if (prefix.size() > 2) logits[4] = -kInfinity;
  }
};

DecodeRequest request_of(std::int64_t rows) {
  DecodeRequest request;
  request.rows = rows;
  request.max_length = 12;
  request.seed = 7;
  request.batch_size = 5;
  return request;
}

Decoded decode_on(SavedStep& step, const DecodeRequest& request) {
  Worker worker(step, std::make_shared<CacheBudget>(CacheBudget::kDefaultBytes));
  Worker* pointer = &worker;
  return decode({&pointer, 1}, request);
}

}  // namespace

TEST_CASE("a penalty divides logits above 0 and multiplies those below, once a token") {
  std::vector<float> logits{3, 3, -3, 3};
  const std::vector<std::int32_t> prefix{1, 2, 1};
  RepetitionPenalty(1.5).process(prefix, logits);
  CHECK(logits == std::vector<float>{3, 2, -4.5, 3});
  for (const double bad : {0.99, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(RepetitionPenalty{bad}, OptionError);
  }
}

TEST_CASE("processors change what is drawn, and not the probability that is reported") {
  SavedStep step;
  for (const int count : {1, 2}) {
    auto request = request_of(300);
    request.processors.push_back(std::make_shared<NeverTwice>());
    if (count == 2) request.processors.push_back(std::make_shared<RepetitionPenalty>(3));
    const Decoded made = decode_on(step, request);
    const Decoded expected = row_by_row(history_logits, kVocabSize, request);
    CHECK(made.tokens == expected.tokens);
    CHECK(made.lengths == expected.lengths);
    for (std::size_t i = 0; i < made.log_probs.size(); ++i) {
      CHECK(made.log_probs[i] == doctest::Approx(expected.log_probs[i]).epsilon(1e-12));
    }
    request.strategy = Strategy::kCached;
    CHECK_THROWS_WITH_AS(decode_on(step, request),
                         "strategy is 'cached'; logits are processed or recorded by 'tree' only",
                         OptionError);
  }
}

TEST_CASE("the probabilities after prompts are those that a token is drawn with") {
  SavedStep step;
  const std::vector<std::int64_t> prompts{1, 2, 2, 1, 2, 3}, offsets{0, 0, 2, 2, 6};
  auto request = request_of(4);
  request.prompts = {prompts, offsets};
  request.sampling.temperature = 0.7;
  request.excluded =
      std::make_shared<const ExcludedTokens>(std::vector<std::int64_t>{2}, kVocabSize);
  std::vector<double> probabilities(4 * kVocabSize);
  request.records.distributions = probabilities;
  decode_on(step, request);
  for (std::size_t row = 0; row < 4; ++row) {
    std::vector<std::int64_t> fed{0};
    for (const std::int64_t token : request.prompts.of(static_cast<std::int64_t>(row))) {
      fed.push_back(token);
    }
    const auto logits = history_logits(fed);
    double sum = 0;
    std::vector<double> weights;
    for (std::size_t id = 0; id < kVocabSize; ++id) {
      weights.push_back(id == 2 ? 0 : std::exp(logits[id] / 0.7));
      sum += weights.back();
    }
    for (std::size_t id = 0; id < kVocabSize; ++id) {
      const double found = probabilities[row * kVocabSize + id];
      CHECK(found == doctest::Approx(weights[id] / sum).epsilon(1e-6));
    }
  }
}

TEST_CASE("the log-probability of each token of a prompt adds up to that of the string") {
  SavedStep step;
  const std::vector<std::int64_t> prompts{1, 2, 0, 0, 1, 2, 3, 0}, offsets{0, 3, 4, 8};
  auto request = request_of(3);
  request.prompts = {prompts, offsets};
  std::vector<double> log_probs(prompts.size());
  request.records.token_log_probs = log_probs;
  const Decoded made = decode_on(step, request);
  for (std::size_t row = 0; row < 3; ++row) {
    double sum = 0;
    for (auto i = offsets[row]; i < offsets[row + 1]; ++i) {
      const double log_prob = log_probs[static_cast<std::size_t>(i)];
      CHECK(log_prob < 0);
      sum += log_prob;
    }
    CHECK(sum == doctest::Approx(made.log_probs[row]).epsilon(1e-12));
  }
}

TEST_CASE("a row whose prompt does not stop has the log-probabilities of its prompt, and no more") {
  SavedStep step;
  const std::vector<std::int64_t> prompts{1, 2, 1, 2, 3, 3, 1, 0}, offsets{0, 2, 5, 6, 8};
  auto request = request_of(4);
  request.prompts = {prompts, offsets};
  std::vector<double> log_probs(prompts.size());
  request.records.token_log_probs = log_probs;
  decode_on(step, request);
  for (std::int64_t row = 0; row < 4; ++row) {
    std::vector<std::int64_t> fed{0};
    for (const std::int64_t token : request.prompts.of(row)) {
      const auto logits = history_logits(fed);
      double sum = 0;
      for (const float logit : logits) sum += std::exp(logit);
      const double log_prob = logits[static_cast<std::size_t>(token)] - std::log(sum);
      const std::size_t place = request.prompts.place(row, std::ssize(fed) - 1);
      CHECK(log_probs[place] == doctest::Approx(log_prob).epsilon(1e-6));
      fed.push_back(token);
    }
  }
}

TEST_CASE("records that do not fit are refused") {
  SavedStep step;
  auto request = request_of(2);
  std::vector<double> room(3);
  request.records.distributions = room;
  CHECK_THROWS_WITH_AS(decode_on(step, request),
                       "records need the offsets of a prompt for each row", OptionError);
  const std::vector<std::int64_t> prompts{1, 2}, offsets{0, 1, 2};
  request.prompts = {prompts, offsets};
  CHECK_THROWS_WITH_AS(decode_on(step, request),
                       "distributions has room for 3 numbers; 10 are to be written", OptionError);
  request.records = {.token_log_probs = room, .distributions = {}};
  CHECK_THROWS_WITH_AS(decode_on(step, request),
                       "token_log_probs has room for 3 numbers; 2 are to be written", OptionError);
}
