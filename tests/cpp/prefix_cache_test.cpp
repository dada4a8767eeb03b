#include "prefix_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <set>

#include "cached_decoder.h"
#include "row_by_row.h"
#include "saved_step.h"

using namespace makemore;

namespace {

DecodeRequest request_of(std::int64_t rows, std::uint64_t seed = 42) {
  DecodeRequest request;
  request.rows = rows;
  request.max_length = 40;
  request.seed = seed;
  request.batch_size = 7;
  return request;
}

void check_same(const Decoded& one, const Decoded& other) {
  CHECK(one.rows == other.rows);
  CHECK(one.tokens == other.tokens);
  CHECK(one.lengths == other.lengths);
  CHECK(one.finished == other.finished);
  REQUIRE(one.log_probs.size() == other.log_probs.size());
  for (std::size_t i = 0; i < one.log_probs.size(); ++i) {
    CHECK(one.log_probs[i] == doctest::Approx(other.log_probs[i]).epsilon(1e-12));
  }
}

std::shared_ptr<CacheBudget> new_budget(std::size_t bytes = CacheBudget::kDefaultBytes) {
  return std::make_shared<CacheBudget>(bytes);
}

std::shared_ptr<const ExcludedTokens> excluded(const Ids& ids) {
  return std::make_shared<const ExcludedTokens>(ids, kVocabSize);
}

Decoded decode_on(Worker& worker, const DecodeRequest& request) {
  Worker* pointer = &worker;
  return decode({&pointer, 1}, request);
}

/// What the model is fed for each row, at each of its steps.
std::vector<Ids> prefixes_of(const DecodeRequest& request) {
  const auto decoded = row_by_row(history_logits, kVocabSize, request);
  std::vector<Ids> prefixes;
  auto tokens = decoded.tokens.begin();
  for (const std::int64_t length : decoded.lengths) {
    const std::int64_t fed = std::min(length, request.max_length - 1);
    for (std::int64_t i = 0; i <= fed; ++i) prefixes.emplace_back(tokens, tokens + i);
    tokens += length;
  }
  return prefixes;
}

}  // namespace

TEST_CASE("what is cached changes no string, whatever the options of the calls before") {
  for (const auto& [stateless, strategy] : {std::pair(false, Strategy::kCached),
                                            {true, Strategy::kCached},
                                            {false, Strategy::kTree},
                                            {true, Strategy::kTree}}) {
    SavedStep step(stateless);
    Worker worker(step, new_budget());
    const LogitsOf logits = stateless ? logits_of_last : history_logits;
    for (const double temperature : {1.0, 0.5, 1.0, 0.0}) {
      for (const std::int64_t rows : {1, 3, 16, 200}) {
        auto request = request_of(rows);
        request.strategy = strategy;
        request.sampling.temperature = temperature;
        const Ids prompt{2, 1};
        if (rows == 3) request.prompts.tokens = prompt;
        check_same(decode_on(worker, request), row_by_row(logits, kVocabSize, request));
        CHECK(step.most_rows <= request.batch_size);
      }
    }
    CHECK(worker.cache.has_value() == (strategy == Strategy::kCached));
  }
}

TEST_CASE("excluded tokens are never drawn, over a tree and over a cache") {
  for (const bool stateless : {false, true}) {
    const LogitsOf logits = stateless ? logits_of_last : history_logits;
    for (const Strategy strategy : {Strategy::kTree, Strategy::kCached}) {
      SavedStep step(stateless);
      Worker worker(step, new_budget());
      for (const Ids& ids : {Ids{}, Ids{2, 3}, Ids{1}, Ids{2, 3}, Ids{}}) {
        auto request = request_of(300);
        request.strategy = strategy;
        if (!ids.empty()) request.excluded = excluded(ids);
        const Ids prompt{1, 1, 2};  // what a prompt forces is not asked for
        if (request.excluded) request.prompts.tokens = prompt;
        check_same(decode_on(worker, request), row_by_row(logits, kVocabSize, request));
      }
    }
  }
}

TEST_CASE("a prefix is run once, however many calls come to it") {
  SavedStep step;
  Worker worker(step, new_budget());
  decode_on(worker, request_of(5));
  const std::int64_t before = step.rows_run;
  CHECK(before > 0);
  decode_on(worker, request_of(5));
  CHECK(step.rows_run == before);
  decode_on(worker, request_of(5, 43));
  CHECK(step.rows_run > before);
}

TEST_CASE("without a state a token at a position is run once, however many rows have it") {
  SavedStep step(true);
  Worker worker(step, new_budget());
  decode_on(worker, request_of(2000));
  CHECK(step.rows_run <= kVocabSize * 40);
}

TEST_CASE("many rows are a tree: no prefix is run twice but short ones, and steps are full") {
  constexpr std::int64_t kRows = 6000;
  auto request = request_of(kRows);
  request.batch_size = 32;
  const auto expected = row_by_row(history_logits, kVocabSize, request);
  const auto all = prefixes_of(request);
  const std::set<Ids> prefixes(all.begin(), all.end());
  for (const std::size_t count : {1, 2, 3}) {
    const auto budget = new_budget();
    std::deque<SavedStep> steps(count);
    std::deque<Worker> workers;
    std::vector<Worker*> pointers;
    for (SavedStep& step : steps) pointers.push_back(&workers.emplace_back(step, budget));
    check_same(decode(pointers, request), expected);
    std::int64_t rows_run = 0, runs = 0, most_rows = 0;
    for (const SavedStep& step : steps) {  // a thread that starts late may find nothing to do
      most_rows = std::max(most_rows, step.most_rows);
      rows_run += step.rows_run;
      runs += step.runs;
    }
    CHECK(most_rows == 32);
    // Each step here finds the common prefixes for itself: the empty one.
    const auto shared =
        std::ranges::count_if(prefixes, [](const Ids& each) { return each.size() < 4; });
    CHECK(rows_run <= std::ssize(prefixes) + (static_cast<std::int64_t>(count) - 1) * shared);
    CHECK(shared < std::ssize(prefixes) / 50);
    CHECK(rows_run >= std::ssize(prefixes));
    if (count == 1) CHECK(runs <= rows_run / 32 + 2 * request.max_length);
  }
}

TEST_CASE("many rows of a model with a state are not cached") {
  SavedStep step;
  Worker worker(step, new_budget());
  decode_on(worker, request_of(5000));
  CHECK(!worker.cache);
}

TEST_CASE("caches have equal shares of a budget, and none where shares would be too small") {
  constexpr std::size_t kMin = CacheBudget::kMinShareBytes;
  CHECK(!CacheBudget::take_share(new_budget(0)));
  for (const std::size_t bytes : {std::size_t{1}, kMin, 2 * kMin - 1, 5 * kMin}) {
    const auto budget = new_budget(bytes);
    std::deque<CacheShare> shares;
    while (auto share = CacheBudget::take_share(budget)) {
      shares.push_back(*std::move(share));
      for (const CacheShare& each : shares) CHECK(each.bytes() == bytes / shares.size());
    }
    CHECK(shares.size() == std::max(std::size_t{1}, bytes / kMin));
    shares.pop_back();
    CHECK(CacheBudget::take_share(budget));
    shares.clear();
    CHECK(budget->share_bytes() == bytes);
  }
}

TEST_CASE("without a budget rows are a tree, and the cached strategy is refused") {
  SavedStep step;
  Worker worker(step, new_budget(0));
  auto request = request_of(100);
  check_same(decode_on(worker, request), row_by_row(history_logits, kVocabSize, request));
  CHECK(!worker.cache);
  request.strategy = Strategy::kCached;
  CHECK_THROWS_WITH_AS(decode_on(worker, request),
                       "strategy is 'cached'; there is no memory for a cache", OptionError);
}

TEST_CASE("a cache is emptied when others take of its share, and stays within it") {
  const auto budget = new_budget();
  SavedStep step;
  step.padding = 10'000;
  Worker worker(step, budget);
  while (!worker.cache || worker.cache->bytes() < budget->share_bytes() / 2) {
    decode_on(worker, request_of(200, static_cast<std::uint64_t>(step.runs)));
  }
  std::deque<CacheShare> others;
  for (int i = 0; i < 3; ++i) others.push_back(*CacheBudget::take_share(budget));
  const auto request = request_of(200);
  check_same(decode_on(worker, request), row_by_row(history_logits, kVocabSize, request));
  CHECK(worker.cache->bytes() <= budget->share_bytes());
}

TEST_CASE("strings over a cache that hold more tokens than a call may are refused") {
  for (const Strategy strategy : {Strategy::kTree, Strategy::kCached}) {
    SavedStep step;
    Worker worker(step, new_budget());
    auto request = request_of(400);
    request.strategy = strategy;
    request.max_tokens = 1000;
    CHECK_THROWS_AS(decode_on(worker, request), OptionError);
  }
}

TEST_CASE("a decode leaves no row in the step") {
  for (const Strategy strategy : {Strategy::kTree, Strategy::kCached}) {
    SavedStep step;
    Worker worker(step, new_budget());
    auto request = request_of(100);
    request.strategy = strategy;
    decode_on(worker, request);
    CHECK(step.rows() == 0);
  }
}

TEST_CASE("when memory is short, prefixes that were used more than once are kept") {
  SavedStep step;
  step.padding = CacheBudget::kDefaultBytes / 2000;
  Worker worker(step, new_budget());
  const auto often = request_of(3);
  decode_on(worker, often);
  decode_on(worker, often);
  std::size_t before = 0;
  int thinned = 0;
  std::uint64_t seed = 1000;
  while (thinned < 10) {
    decode_on(worker, request_of(3, ++seed));
    CHECK(worker.cache->bytes() <= CacheBudget::kDefaultBytes);
    if (worker.cache->bytes() < before) ++thinned;
    before = worker.cache->bytes();
  }
  CHECK(before > CacheBudget::kDefaultBytes * 7 / 8);  // room is not left empty
  const std::int64_t rows_run = step.rows_run;
  check_same(decode_on(worker, often), row_by_row(history_logits, kVocabSize, often));
  CHECK(step.rows_run == rows_run);
  for (; seed > 1000; --seed) decode_on(worker, request_of(3, seed));
  CHECK(step.rows_run > rows_run);  // used once
}

TEST_CASE("a full cache holds nearly the likeliest prefixes") {
  constexpr std::size_t kNodes = 1000;
  SavedStep step;
  step.padding = CacheBudget::kDefaultBytes / kNodes;
  Worker worker(step, new_budget());
  std::uint64_t seed = 0;
  for (int i = 0; i < 60; ++i) decode_on(worker, request_of(100, ++seed));
  // Those of a large sample, and how many others a call comes to.
  std::map<Ids, int> counts;
  for (const Ids& prefix : prefixes_of(request_of(10'000, 7))) ++counts[prefix];
  std::vector<int> ranked;
  for (const auto& [prefix, count] : counts) ranked.push_back(count);
  std::ranges::sort(ranked, std::greater());
  REQUIRE(ranked.size() > 2 * kNodes);
  std::int64_t others = 0, run = 0;
  for (int i = 0; i < 10; ++i) {
    const auto request = request_of(100, ++seed);
    const auto prefixes = prefixes_of(request);
    for (const Ids& prefix : std::set(prefixes.begin(), prefixes.end())) {
      if (counts[prefix] <= ranked[kNodes]) ++others;
    }
    const std::int64_t before = step.rows_run;
    decode_on(worker, request);
    run += step.rows_run - before;
  }
  CHECK(static_cast<double>(run) < 1.1 * static_cast<double>(others));
}

TEST_CASE("nodes that have become common prefixes keep no state of their own") {
  SavedStep step;
  step.padding = 1000;
  Worker worker(step, new_budget());
  const auto request = request_of(16);
  const Decoded first = decode_on(worker, request);
  const std::size_t before = worker.cache->bytes();
  const Interrupts none{};
  CallCancellation cancellation(none);
  step.common_prefixes()->grow(step, {.count = 3'000, .states = 3'000, .length = 4}, cancellation);
  const std::int64_t run = step.rows_run;
  check_same(decode_on(worker, request), first);
  CHECK(step.rows_run - run < 16 * request.max_length);
  CHECK(worker.cache->bytes() < before);
}

TEST_CASE("the states of common prefixes are the cache's own where the model does not keep them") {
  SavedStep step;
  step.padding = 1000;
  const Interrupts none{};
  CallCancellation cancellation(none);
  step.common_prefixes()->grow(step, {.count = 3'000, .states = 1, .length = 4}, cancellation);
  Worker worker(step, new_budget());
  auto request = request_of(1);
  request.max_length = 6;
  request.excluded = excluded({0});  // the step is first needed after 5 tokens and all before
  check_same(decode_on(worker, request), row_by_row(history_logits, kVocabSize, request));
  const std::size_t states = 5, nodes = 6;
  CHECK(worker.cache->bytes() == nodes * (worker.cache->node_bytes() - step.snapshot_bytes()) +
                                     states * step.snapshot_bytes());
  const std::int64_t run = step.rows_run;
  check_same(decode_on(worker, request), row_by_row(history_logits, kVocabSize, request));
  CHECK(step.rows_run == run);
}

TEST_CASE("what was common long ago gives way to what is common now") {
  const Ids then{1, 2, 1}, now{2, 1};
  std::uint64_t seed = 0;
  const auto rows_run = [&](SavedStep& step, Worker& worker, const Ids& prompt, int calls) {
    const std::int64_t before = step.rows_run;
    for (int i = 0; i < calls; ++i) {
      auto request = request_of(100, ++seed);
      request.prompts.tokens = prompt;
      decode_on(worker, request);
    }
    return step.rows_run - before;
  };
  std::array<std::int64_t, 2> run{};
  for (const bool was_busy : {false, true}) {
    SavedStep step;
    step.padding = CacheBudget::kDefaultBytes / 1000;
    Worker worker(step, new_budget());
    if (was_busy) rows_run(step, worker, then, 100);
    rows_run(step, worker, now, 200);
    run[was_busy] = rows_run(step, worker, now, 100);
  }
  CHECK(static_cast<double>(run[1]) < 1.1 * static_cast<double>(run[0]));
}

TEST_CASE("what would take too much memory is decoded all the same, and forgotten") {
  SavedStep step;
  step.padding = CacheBudget::kDefaultBytes / 100;
  Worker worker(step, new_budget());
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    auto request = request_of(3, seed);
    request.excluded = excluded({0});  // no string stops before it is cut
    check_same(decode_on(worker, request), row_by_row(history_logits, kVocabSize, request));
    CHECK(worker.cache->bytes() < 3 * CacheBudget::kDefaultBytes);
  }
  auto request = request_of(1);
  request.max_length = 500;
  request.excluded = excluded({0});
  check_same(decode_on(worker, request), row_by_row(history_logits, kVocabSize, request));
}

TEST_CASE("log-probabilities that are not asked for are 0") {
  for (const std::int64_t rows : {3, 5000}) {
    SavedStep step;
    Worker worker(step, new_budget());
    auto request = request_of(rows);
    const auto wanted = decode_on(worker, request);
    request.log_probs = false;
    const auto unwanted = decode_on(worker, request);
    CHECK(unwanted.tokens == wanted.tokens);
    CHECK(unwanted.log_probs == std::vector<double>(static_cast<std::size_t>(rows), 0.0));
  }
}
