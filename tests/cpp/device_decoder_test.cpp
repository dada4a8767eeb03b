// The decode loop of a device, over a device that C++ plays: its bookkeeping, too little memory,
// models that fail.
#include "device_decoder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "errors.h"
#include "history_logits.h"
#include "row_by_row.h"

using namespace makemore;

namespace {

/// Slots whose state is all that was fed to them; holds its caller to the rules of BlockStep.
class HistoryBlocks : public BlockStep {
 public:
  explicit HistoryBlocks(SamplingOptions options = {},
                         std::shared_ptr<const ExcludedTokens> excluded = nullptr)
      : sampler_(options, kVocabSize), excluded_(std::move(excluded)) {}

  std::int64_t vocab_size() const override { return kVocabSize; }
  std::int64_t steps_per_block() const override { return 3; }

  void open(Slots& slots) override {
    opened.push_back(slots.count);
    if (slots.count > most_slots) throw OutOfMemory("no more room");
    slots_ = &slots;
    fed_.assign(static_cast<std::size_t>(slots.count), {});
  }

  void run() override {
    if (slots_->count > most_running && ++runs_when_large > 2) throw OutOfMemory("no more room");
    for (std::size_t slot = 0; slot < fed_.size(); ++slot) {
      std::int64_t token = slots_->tokens[slot];
      std::int64_t& remaining = slots_->remaining[slot];
      if (remaining > 0) {
        REQUIRE(slots_->positions[slot] == std::ssize(fed_[slot]));
        if (fed_[slot].empty()) ++begun;
      }
      for (std::size_t column = 0; column < 3; ++column) {
        std::int64_t& generated = slots_->generated[slot * 3 + column];
        if (remaining == 0) {
          generated = 0;
          continue;
        }
        fed_[slot].push_back(token);
        token = generated = generate(slot, column, generated);
        if (token == kVocabSize) token = 0;
        remaining = token == 0 ? 0 : remaining - 1;
        if (remaining == 0) fed_[slot].clear();
      }
    }
  }

  void clear(std::span<const std::size_t> slots) override {
    for (const std::size_t slot : slots) fed_[slot].clear();
  }

  LogitsOf logits_of = history_logits;
  std::int64_t most_slots = 1'000'000, most_running = 1'000'000;
  std::vector<std::int64_t> opened;
  int runs_when_large = 0;
  int begun = 0;

 private:
  std::int64_t generate(std::size_t slot, std::size_t column, std::int64_t forced) {
    const auto logits = logits_of(fed_[slot]);
    std::int64_t token = forced;
    if (forced < 0) {
      try {
        sampler_.prepare(logits, allowed_tokens(excluded_.get()));
      } catch (const std::exception&) {
        for (const float logit : logits) slots_->log_probs[slot] += logit > -1e30F ? 0 * logit : 0;
        return kVocabSize;
      }
      token = sampler_.pick(slots_->coins[column * fed_.size() + slot]);
    }
    slots_->log_probs[slot] += logits[static_cast<std::size_t>(token)] - log_sum_exp(logits);
    return token;
  }

  Sampler sampler_;
  std::shared_ptr<const ExcludedTokens> excluded_;
  Slots* slots_ = nullptr;
  std::vector<Ids> fed_;
};

DecodeRequest request_of(std::int64_t rows, std::int64_t batch_size) {
  DecodeRequest request;
  request.rows = rows;
  request.first_row = 1000;
  request.max_length = 8;
  request.seed = 7;
  request.batch_size = batch_size;
  return request;
}

void check_same(const Decoded& made, const Decoded& expected) {
  CHECK(made.rows == expected.rows);
  CHECK(made.tokens == expected.tokens);
  CHECK(made.lengths == expected.lengths);
  CHECK(made.log_probs == expected.log_probs);
  CHECK(made.finished == expected.finished);
}

}  // namespace

TEST_CASE("slots give the strings of the definition, whatever their number") {
  for (const std::int64_t batch_size : {1, 3, 64, 200, 1000}) {
    const DecodeRequest request = request_of(200, batch_size);
    HistoryBlocks blocks;
    check_same(decode_on_device(blocks, request), row_by_row(history_logits, kVocabSize, request));
    CHECK(blocks.begun == 200);
    CHECK(blocks.opened == std::vector{std::min<std::int64_t>(batch_size, 200)});
  }
}

TEST_CASE("a prompt is generated first, one that all share or one each, and may end the string") {
  const Ids shared{2, 4, 1, 3}, tokens{1, 2, 3, 4, 1, 2, 0, 3}, offsets{0, 0, 5, 7, 8};
  for (const Prompts& prompts : {Prompts{shared, {}}, Prompts{tokens, offsets}}) {
    DecodeRequest request = request_of(4, 3);
    request.prompts = prompts;
    for (const std::int64_t max_length : {1, 3, 4, 8}) {
      request.max_length = max_length;
      HistoryBlocks blocks;
      check_same(decode_on_device(blocks, request),
                 row_by_row(history_logits, kVocabSize, request));
    }
  }
}

TEST_CASE("temperature 0 takes the first of the most likely") {
  DecodeRequest request = request_of(1, 1);
  request.sampling.temperature = 0;
  // As the sampler on a device does it: all but the most likely tokens have weight 0.
  HistoryBlocks blocks(SamplingOptions{.temperature = std::numeric_limits<double>::min()});
  check_same(decode_on_device(blocks, request), row_by_row(history_logits, kVocabSize, request));
}

TEST_CASE("where memory does not hold the slots, fewer are tried, and no string is lost") {
  const DecodeRequest request = request_of(200, 64);
  const Decoded expected = row_by_row(history_logits, kVocabSize, request);
  HistoryBlocks blocks;
  SUBCASE("at the start") { blocks.most_slots = 20; }
  SUBCASE("in the middle, when strings have ended and others are on their way") {
    blocks.most_running = 20;
  }
  check_same(decode_on_device(blocks, request), expected);
  CHECK(blocks.opened == Ids{64, 32, 16});
  CHECK(blocks.begun <= 200 + 64 + 32);  // but for those on their way, each string is made once
}

TEST_CASE("tokens of rows that start again are counted once") {
  DecodeRequest request = request_of(200, 64);
  HistoryBlocks blocks;
  blocks.most_running = 20;
  const std::size_t tokens = decode_on_device(blocks, request).tokens.size();
  request.max_tokens = tokens + 200;  // and their ends
  HistoryBlocks again;
  again.most_running = 20;
  CHECK(decode_on_device(again, request).tokens.size() == tokens);
}

TEST_CASE("a filter drops rows on a device too; what a device cannot do is refused") {
  for (const std::int64_t batch_size : {1, 64}) {
    HistoryBlocks blocks;
    DecodeRequest request = request_of(200, batch_size);
    // Only strings of two tokens or more that begin with 1 and hold no 3 pass.
    request.filter = std::make_shared<const RowFilter>(
        std::vector<RowFilter::State>{-1, 1, -1, -1, -1, -1, 2, 2, -1, 2, -1, 2, 2, -1, 2},
        std::vector<std::uint8_t>{0, 0, 1}, kVocabSize);
    const Decoded made = decode_on_device(blocks, request);
    CHECK(made.rows.size() > 3);
    check_same(made, row_by_row(history_logits, kVocabSize, request));
  }
  HistoryBlocks blocks;
  DecodeRequest request = request_of(1, 1);
  request.processors.push_back(std::make_shared<RepetitionPenalty>(2));
  CHECK_THROWS_WITH_AS(decode_on_device(blocks, request),
                       "a device neither processes nor records logits", OptionError);
}

TEST_CASE("memory that does not hold one slot is an error with that message") {
  HistoryBlocks blocks;
  blocks.most_slots = 0;
  CHECK_THROWS_WITH_AS(decode_on_device(blocks, request_of(5, 4)),
                       "the device has no memory for a batch of 1: no more room", OrtError);
  CHECK(blocks.opened == Ids{4, 2, 1});
}

TEST_CASE("no token to choose is the fault of what is excluded, or else of the model") {
  const auto excluded = std::make_shared<const ExcludedTokens>(Ids{1}, kVocabSize);
  HistoryBlocks blocks({}, excluded);
  blocks.logits_of = [](const Ids&) {
    std::vector<float> logits(kVocabSize, -std::numeric_limits<float>::infinity());
    logits[1] = 0;
    return logits;
  };
  DecodeRequest request = request_of(5, 4);
  request.excluded = excluded;
  CHECK_THROWS_AS(decode_on_device(blocks, request), OptionError);
  request.excluded = nullptr;
  CHECK_THROWS_AS(decode_on_device(blocks, request), ArtifactError);
}

TEST_CASE("logits that are not finite are the fault of the model") {
  for (const float logit : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    HistoryBlocks blocks;
    blocks.logits_of = [&](const Ids& fed) {
      return fed.size() < 3 ? std::vector<float>{-9, 1, 2, 3, 4}
                            : std::vector<float>{logit, 0, 0, 0, 0};
    };
    CHECK_THROWS_AS(decode_on_device(blocks, request_of(5, 4)), ArtifactError);
  }
}

TEST_CASE("strings that hold more tokens than a call may are refused") {
  HistoryBlocks blocks;
  DecodeRequest request = request_of(50, 4);
  request.max_tokens = 60;
  CHECK_THROWS_AS(decode_on_device(blocks, request), OptionError);
}

TEST_CASE("a strategy is refused: a device has none") {
  HistoryBlocks blocks;
  for (const Strategy strategy : {Strategy::kTree, Strategy::kCached}) {
    DecodeRequest request = request_of(1, 1);
    request.strategy = strategy;
    CHECK_THROWS_AS(decode_on_device(blocks, request), OptionError);
  }
}

TEST_CASE("a token ends a call between two blocks") {
  HistoryBlocks blocks;
  CancellationToken token;
  token.cancel();
  CHECK_THROWS_AS(decode_on_device(blocks, request_of(1, 1), {.token = &token}), CancelledError);
}

TEST_CASE("no rows are no work, and what no model can do is refused before any") {
  HistoryBlocks blocks;
  CHECK(decode_on_device(blocks, request_of(0, 4)).lengths.empty());
  CHECK_THROWS_AS(decode_on_device(blocks, request_of(-1, 4)), OptionError);
  CHECK_THROWS_AS(decode_on_device(blocks, request_of(1, 0)), OptionError);
  CHECK(blocks.opened.empty());
}
