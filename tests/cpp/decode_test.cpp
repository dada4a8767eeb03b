#include "decode.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <deque>
#include <stdexcept>
#include <thread>

#include "coin.h"
#include "errors.h"
#include "history_logits.h"

using namespace makemore;

namespace {

/// A model whose state is all that it was fed; holds its caller to the rules of step.h.
class HistoryStep : public Step {
 public:
  std::int64_t vocab_size() const override { return kVocabSize; }

  void reset(std::int64_t rows) override { fed_.assign(static_cast<std::size_t>(rows), {}); }

  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    REQUIRE(tokens.size() == fed_.size());
    logits_.clear();
    for (std::size_t row = 0; row < fed_.size(); ++row) {
      REQUIRE(positions[row] == std::ssize(fed_[row]));
      fed_[row].push_back(tokens[row]);
      const auto logits = history_logits(fed_[row]);
      logits_.insert(logits_.end(), logits.begin(), logits.end());
    }
    rows_run += std::ssize(fed_);
    return logits_;
  }

  void select(std::span<const std::int64_t> parents) override {
    std::vector<Ids> next;
    for (const std::int64_t parent : parents) {
      REQUIRE((parent >= 0 && parent < std::ssize(fed_)));
      const bool stays =
          parent >= std::ssize(parents) || parents[static_cast<std::size_t>(parent)] == parent;
      REQUIRE(stays);
      next.push_back(fed_[static_cast<std::size_t>(parent)]);
    }
    fed_ = std::move(next);
  }

  std::int64_t rows_run = 0;

 private:
  std::vector<Ids> fed_;
  std::vector<float> logits_;
};

/// One row, alone, by the definition.
Ids decode_alone(const DecodeRequest& request, std::int64_t row) {
  Sampler sampler(request.sampling, kVocabSize);
  const auto prompt = request.prompts.of(row);
  const auto number = request.first_row + static_cast<std::uint64_t>(row);
  Ids fed{0};
  while (std::ssize(fed) <= request.max_length) {
    const std::size_t position = fed.size() - 1;
    std::int64_t token = 0;
    if (position < prompt.size()) {
      token = prompt[position];
    } else {
      sampler.prepare(history_logits(fed));
      token = sampler.pick(coin(request.seed, number, static_cast<std::uint32_t>(position)));
    }
    if (token == 0) break;
    fed.push_back(token);
  }
  return {fed.begin() + 1, fed.end()};
}

Decoded decode_with(std::vector<Step*> steps, const DecodeRequest& request,
                    const Interrupts& interrupts = {}) {
  std::deque<Worker> workers;
  std::vector<Worker*> pointers;
  for (Step* step : steps) pointers.push_back(&workers.emplace_back(*step));
  return decode(pointers, request, interrupts);
}

template <class AStep = HistoryStep>
Decoded decode_on(int workers, const DecodeRequest& request, const Interrupts& interrupts = {}) {
  std::vector<AStep> steps(static_cast<std::size_t>(workers));
  std::vector<Step*> pointers;
  for (AStep& step : steps) pointers.push_back(&step);
  return decode_with(pointers, request, interrupts);
}

DecodeRequest request_of(std::int64_t rows, std::int64_t batch_size) {
  DecodeRequest request;
  request.rows = rows;
  request.max_length = 9;
  request.seed = 42;
  request.batch_size = batch_size;
  return request;
}

std::vector<Ids> rows_of(const Decoded& decoded) {
  std::vector<Ids> rows;
  auto at = decoded.tokens.begin();
  for (const std::int64_t length : decoded.lengths) {
    rows.emplace_back(at, at + length);
    at += length;
  }
  return rows;
}

struct Broken : std::runtime_error {
  Broken() : std::runtime_error("broken") {}
};

/// Fails at its reset of that number; 0: never.
class Fails : public HistoryStep {
 public:
  explicit Fails(int at) : at_(at) {}
  void reset(std::int64_t rows) override {
    if (++resets_ == at_) throw Broken();
    HistoryStep::reset(rows);
  }

 private:
  int at_, resets_ = 0;
};

/// Never stops, and rows part for ever.
class Endless : public Step {
 public:
  explicit Endless(int fails_at = 0) : fails_(fails_at) {}
  std::int64_t vocab_size() const override { return 3; }
  void reset(std::int64_t rows) override { fails_.reset(rows); }
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t>) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    logits_.clear();
    for (std::size_t row = 0; row < tokens.size(); ++row) {
      logits_.insert(logits_.end(), {-HUGE_VALF, 0, 0});
    }
    return logits_;
  }
  void select(std::span<const std::int64_t>) override {}

 private:
  Fails fails_;
  std::vector<float> logits_;
};

DecodeRequest endless_request(std::int64_t rows) {
  auto request = request_of(rows, 1);
  request.max_length = std::int64_t{1} << 40;
  return request;
}

/// Returns `difference` logits too many.
class WrongWidth : public HistoryStep {
 public:
  explicit WrongWidth(std::int64_t difference) : difference_(difference) {}
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    const auto logits = HistoryStep::run(tokens, positions);
    wrong_.assign(logits.begin(), logits.end());
    wrong_.resize(static_cast<std::size_t>(std::ssize(wrong_) + difference_));
    return wrong_;
  }

 private:
  std::int64_t difference_;
  std::vector<float> wrong_;
};

}  // namespace

TEST_CASE("decoded rows are those of one row alone, whatever the batch size and the workers") {
  for (const int workers : {1, 2, 3}) {
    for (const std::int64_t batch_size : {1, 3, 64, 1000}) {
      const auto request = request_of(200, batch_size);
      const auto rows = rows_of(decode_on(workers, request));
      REQUIRE(rows.size() == 200);
      for (std::int64_t row = 0; row < 200; ++row) {
        CHECK(rows[static_cast<std::size_t>(row)] == decode_alone(request, row));
      }
    }
  }
}

TEST_CASE("rows are numbered from first_row and begin with the prefix that all share") {
  auto request = request_of(20, 7);
  const Ids prompt{3, 1};
  request.first_row = (std::uint64_t{1} << 32) - 5;
  request.prompts.tokens = prompt;
  const auto rows = rows_of(decode_on(1, request));
  for (std::int64_t row = 0; row < 20; ++row) {
    CHECK(rows[static_cast<std::size_t>(row)] == decode_alone(request, row));
    CHECK(rows[static_cast<std::size_t>(row)].front() == 3);
  }
}

TEST_CASE("each row begins with its own prompt, and a prompt may stop") {
  auto request = request_of(3, 3);
  const Ids tokens{1, 2, 0, 1, 3, 0, 4};
  const Ids offsets{0, 3, 6, 7};
  request.prompts = {tokens, offsets};
  const auto decoded = decode_on(1, request);
  const auto rows = rows_of(decoded);
  CHECK(rows[0] == Ids{1, 2});
  CHECK(rows[1] == Ids{1, 3});
  CHECK(rows[2] == decode_alone(request, 2));
  CHECK(rows[2].front() == 4);

  double expected = 0;
  for (const Ids& fed : {Ids{0}, Ids{0, 1}, Ids{0, 1, 2}}) {
    const auto logits = history_logits(fed);
    const auto token = tokens[fed.size() - 1];
    expected += logits[static_cast<std::size_t>(token)] - log_sum_exp(logits);
  }
  CHECK(decoded.log_probs[0] == doctest::Approx(expected));
}

TEST_CASE("a row either stopped or was cut at max_length") {
  auto request = request_of(100, 100);
  const auto free = decode_on(1, request);
  request.max_length = 2;
  const auto cut = decode_on(1, request);
  bool both[2] = {false, false};
  for (std::size_t row = 0; row < 100; ++row) {
    CHECK(cut.lengths[row] == std::min<std::int64_t>(free.lengths[row], 2));
    CHECK(cut.finished[row] == (free.lengths[row] < 2 ? 1 : 0));
    both[cut.finished[row]] = true;
  }
  CHECK((both[0] && both[1]));
}

TEST_CASE("a prefix that rows share is run once") {
  auto request = request_of(500, 500);
  request.sampling.temperature = 0;
  HistoryStep step;
  const auto decoded = decode_with({&step}, request);
  CHECK(step.rows_run <= request.max_length);
  CHECK(rows_of(decoded).back() == rows_of(decoded).front());
}

TEST_CASE("the cached strategy is refused for a step that cannot save states") {
  for (const std::int64_t rows : {0, 10}) {
    auto request = request_of(rows, 4);
    request.strategy = Strategy::kTree;
    CHECK(std::ssize(decode_on(2, request).lengths) == rows);
    request.strategy = Strategy::kCached;
    CHECK_THROWS_WITH_AS(decode_on(1, request),
                         "strategy is 'cached'; these steps cannot save the states of their rows",
                         OptionError);
  }
}

TEST_CASE("a step that returns too few or too many logits is refused") {
  for (const std::int64_t difference : {-1, 1}) {
    WrongWidth step(difference);
    const std::string found = std::to_string(kVocabSize + difference);
    CHECK_THROWS_WITH_AS(
        decode_with({&step}, request_of(3, 2)),
        ("a step of 1 rows returned " + found + " logits; it must return 5, a row of 5 each")
            .c_str(),
        StepError);
  }
}

TEST_CASE("a token ends a call that is running, on any thread, and a call that begins") {
  for (const int workers : {1, 3}) {
    CancellationToken token;
    std::thread canceller([&token] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      token.cancel();
    });
    CHECK_THROWS_AS(decode_on<Endless>(workers, endless_request(workers), {.token = &token}),
                    CancelledError);
    canceller.join();
    CHECK_THROWS_AS(decode_on(1, request_of(1, 1), {.token = &token}), CancelledError);
  }
}

TEST_CASE("a call that would hold more tokens than it may is refused, at the latest when it does") {
  auto request = request_of(1001, 10);
  request.max_tokens = 1000;
  CHECK_THROWS_WITH_AS(decode_on(1, request),
                       "n is 1001; a call holds at most 1000 tokens, and each string has its end; "
                       "use several calls, with first_row",
                       OptionError);
  constexpr auto kTooMany =
      "the strings hold more than 1000 tokens, their ends included; use several calls, with "
      "first_row, or a smaller max_length";
  request.rows = 400;
  CHECK_THROWS_WITH_AS(decode_on(1, request), kTooMany, OptionError);
  request.rows = 100;
  CHECK(decode_on(1, request).lengths.size() == 100);
  for (const std::int64_t rows : {1, 2}) {  // strings that never end
    request = endless_request(rows);
    request.max_tokens = 1000;
    CHECK_THROWS_WITH_AS(decode_on<Endless>(1, request), kTooMany, OptionError);
  }
  auto all = request_of(1, 1);
  all.rows = kMaxTokens + 1;
  CHECK_THROWS_AS(decode_on(1, all), OptionError);
}

TEST_CASE("excluded tokens and a filter for another vocabulary are refused") {
  auto request = request_of(1, 1);
  request.excluded = std::make_shared<const ExcludedTokens>(Ids{1}, kVocabSize + 1);
  CHECK_THROWS_WITH_AS(decode_on(1, request),
                       "the mask of excluded tokens is for 6; the vocabulary has 5", OptionError);
  request.excluded = nullptr;
  request.filter = std::make_shared<const RowFilter>(std::vector<RowFilter::State>(6, 0),
                                                     std::vector<std::uint8_t>{1}, kVocabSize + 1);
  CHECK_THROWS_WITH_AS(decode_on(1, request), "a filter is for 6 tokens; the vocabulary has 5",
                       OptionError);
}

TEST_CASE("a step is used by one call at a time") {
  HistoryStep step;
  Worker worker(step);
  const StepLock lock(step);
  Worker* pointer = &worker;
  CHECK_THROWS_WITH_AS(decode({&pointer, 1}, request_of(1, 1)),
                       "a step is in use by another call; each call needs a step of its own",
                       OptionError);
}

TEST_CASE("a worker is given to a call once, and is free after an error") {
  HistoryStep step;
  Worker worker(step);
  Worker* twice[] = {&worker, &worker};
  CHECK_THROWS_AS(decode(twice, request_of(1, 1)), OptionError);
  CHECK(decode({twice, 1}, request_of(1, 1)).lengths.size() == 1);
}

TEST_CASE("no rows give nothing") {
  const auto decoded = decode_on(2, request_of(0, 10));
  CHECK(decoded.lengths.empty());
  CHECK(decoded.tokens.empty());
}

TEST_CASE("a request that cannot be is refused") {
  CHECK_THROWS_AS(decode({}, request_of(1, 1)), OptionError);
  CHECK_THROWS_AS(decode_on(1, request_of(-1, 1)), OptionError);
  CHECK_THROWS_AS(decode_on(1, request_of(1, 0)), OptionError);
  auto request = request_of(1, 1);
  request.max_length = 0;
  CHECK_THROWS_AS(decode_on(1, request), OptionError);

  for (const std::int64_t token : {std::int64_t{-1}, kVocabSize}) {
    const Ids tokens{1, token};
    request = request_of(1, 1);
    request.prompts.tokens = tokens;
    CHECK_THROWS_AS(decode_on(1, request), OptionError);
  }
  const Ids tokens{1, 2, 3};
  for (const Ids& offsets : {Ids{0}, Ids{0, 1, 2}, Ids{1, 2, 3}, Ids{0, 4, 3}, Ids{0, 2, 1, 3}}) {
    request = request_of(2, 1);
    request.prompts = {tokens, offsets};
    CHECK_THROWS_AS(decode_on(1, request), OptionError);
  }
}

TEST_CASE("an exception in a step reaches the caller") {
  Fails fails(1);
  CHECK_THROWS_AS(decode_with({&fails}, request_of(10, 1)), Broken);
}

TEST_CASE("an exception in one worker stops the others, which would never end") {
  // The first step looks ahead before there are workers: its second reset is its first as one.
  Endless first_of_fine, fails_as_second(1);
  CHECK_THROWS_AS(decode_with({&first_of_fine, &fails_as_second}, endless_request(2)), Broken);
  Endless fails_as_first(2), second_of_fine;
  CHECK_THROWS_AS(decode_with({&fails_as_first, &second_of_fine}, endless_request(2)), Broken);
}

TEST_CASE("poll interrupts one worker or many, on the calling thread") {
  for (const int workers : {1, 3}) {
    const auto caller = std::this_thread::get_id();
    const auto poll = [caller] {
      REQUIRE(std::this_thread::get_id() == caller);
      throw Broken();
    };
    CHECK_THROWS_AS(decode_on<Endless>(workers, endless_request(workers), {.poll = poll}), Broken);
  }
}

TEST_CASE("poll is asked again and again") {
  int polls = 0;
  const auto poll = [&polls] {
    if (++polls == 3) throw Broken();
  };
  CHECK_THROWS_AS(decode_on<Endless>(2, endless_request(2), {.poll = poll}), Broken);
  CHECK(polls == 3);
}
