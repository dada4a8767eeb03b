#include "common_prefixes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <future>
#include <map>
#include <stdexcept>
#include <thread>

#include "cached_decoder.h"
#include "row_by_row.h"
#include "saved_step.h"

using namespace makemore;

namespace {

constexpr CommonPrefixes::Limits kEnough{.count = 10'000, .states = 10'000, .length = 3};

/// The same number of prefixes, most of them without their states.
constexpr CommonPrefixes::Limits kFewStates{.count = 10'000, .states = 6, .length = 3};

bool grow(CommonPrefixes& common, SnapshotStep& step, const CommonPrefixes::Limits& limits) {
  const Interrupts none{};
  CallCancellation cancellation(none);
  return common.grow(step, limits, cancellation);
}

/// Those of a model within limits.
CommonPrefixes& common_of(SavedStep& step, const CommonPrefixes::Limits& limits) {
  grow(*step.common_prefixes(), step, limits);
  return *step.common_prefixes();
}

using Known = std::map<Ids, CommonPrefixes::Id>;

/// All common prefixes from `prefix` on, by their tokens.
void collect(const CommonPrefixes& common, CommonPrefixes::Id id, const Ids& prefix, Known& found) {
  found[prefix] = id;
  for (std::int64_t token = 0; token < kVocabSize; ++token) {
    const CommonPrefixes::Id child = common.child(id, token);
    if (child == CommonPrefixes::kNone) continue;
    Ids longer = prefix;
    longer.push_back(token);
    collect(common, child, longer, found);
  }
}

Known known(const CommonPrefixes& common) {
  Known found;
  collect(common, CommonPrefixes::kEmpty, {}, found);
  return found;
}

/// What the step is fed for a prefix: token 0 first.
Ids fed(const Ids& prefix) {
  Ids tokens{0};
  tokens.insert(tokens.end(), prefix.begin(), prefix.end());
  return tokens;
}

double probability(const Ids& prefix) {
  double result = 1;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    const auto logits =
        history_logits(fed({prefix.begin(), prefix.begin() + static_cast<std::ptrdiff_t>(i)}));
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit);
    result *= std::exp(logits[static_cast<std::size_t>(prefix[i])]) / sum;
  }
  return result;
}

/// Fails from a position on.
class FailingStep : public SavedStep {
 public:
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override {
    if (std::ranges::max(positions) >= fails_at) throw std::runtime_error("it fails here");
    return SavedStep::run(tokens, positions);
  }

  std::int64_t fails_at = 0;
};

/// Of the model of another step.
class SameModelStep : public SavedStep {
 public:
  explicit SameModelStep(SavedStep& other) : other_(other) {}
  std::shared_ptr<CommonPrefixes> common_prefixes() override { return other_.common_prefixes(); }

 private:
  SavedStep& other_;
};

/// Decodes on new workers over these steps, and compares with a decode row by row.
void check_decode(const std::vector<SavedStep*>& steps, const DecodeRequest& request) {
  const auto budget = std::make_shared<CacheBudget>(CacheBudget::kDefaultBytes);
  std::deque<Worker> workers;
  std::vector<Worker*> pointers;
  for (SavedStep* step : steps) pointers.push_back(&workers.emplace_back(*step, budget));
  const Decoded decoded = decode(pointers, request);
  const Decoded expected = row_by_row(history_logits, kVocabSize, request);
  CHECK(decoded.tokens == expected.tokens);
  CHECK(decoded.lengths == expected.lengths);
  CHECK(decoded.finished == expected.finished);
}

}  // namespace

TEST_CASE("common prefixes have the logits and states of the model") {
  SavedStep step;
  const CommonPrefixes& common = common_of(step, kEnough);
  const Known found = known(common);
  CHECK(found.size() == common.size());
  CHECK(common.size() > 20);
  for (const auto& [prefix, id] : found) {
    const auto logits = common.logits(id);
    CHECK(std::vector(logits.begin(), logits.end()) == history_logits(fed(prefix)));
    CHECK(common.state(id)->steps == std::ssize(prefix) + 1);
  }
}

TEST_CASE("the likeliest prefixes keep their states, and all have their logits") {
  SavedStep all_kept, step;
  const CommonPrefixes& common = common_of(step, kFewStates);
  const Known found = known(common);
  CHECK(found.size() == known(common_of(all_kept, kEnough)).size());
  for (const auto& [prefix, id] : found) {
    const auto logits = common.logits(id);
    CHECK(std::vector(logits.begin(), logits.end()) == history_logits(fed(prefix)));
    CHECK(common.has_state(id) == (id < 6));
    if (id < 6) CHECK(common.state(id)->steps == std::ssize(prefix) + 1);
  }
}

TEST_CASE("no prefix that is missing is likelier than one that is there") {
  SavedStep step;
  auto limits = kEnough;
  limits.count = 40;
  const Known found = known(common_of(step, limits));
  CHECK(found.size() == 40);
  double least = 1;
  for (const auto& [prefix, id] : found) least = std::min(least, probability(prefix));
  // Those that are computed together are the likeliest of their time, so the last ones may be off.
  for (const auto& [prefix, id] : found) {
    for (std::int64_t token = 1; token < kVocabSize; ++token) {
      Ids longer = prefix;
      longer.push_back(token);
      if (prefix.size() < 3 && !found.contains(longer)) CHECK(probability(longer) < 4 * least);
    }
  }
}

TEST_CASE("limits hold: without any there is the empty prefix alone") {
  const auto size_within = [](const CommonPrefixes::Limits& limits, bool stateless = false) {
    SavedStep step(stateless);
    return common_of(step, limits).size();
  };
  CHECK(size_within({}) == 1);
  CHECK(size_within(kEnough) > 40);
  auto limits = kEnough;
  limits.count = 30;
  CHECK(size_within(limits) == 30);
  limits = kEnough;
  limits.end = CommonPrefixes::Clock::now();
  CHECK(size_within(limits) == 1);
  limits = kEnough;
  limits.length = 0;
  CHECK(size_within(limits) == 1);
  SavedStep step;
  for (const auto& [prefix, id] : known(common_of(step, kEnough))) {
    CHECK(std::ssize(prefix) <= kEnough.length);
  }
  CHECK(size_within(kEnough, true) == 1);
}

TEST_CASE("there are more of them when the limits are wider, and those that were there stay") {
  SavedStep step, other;
  CommonPrefixes& common = *step.common_prefixes();
  auto limits = kEnough;
  limits.end = CommonPrefixes::Clock::now();
  CHECK(grow(common, step, limits));
  CHECK(common.size() == 1);
  limits = kEnough;
  limits.count = 20;
  CHECK_FALSE(grow(common, step, limits));
  const Known before = known(common);
  const StateSnapshot* state = &common.state(19);
  CHECK_FALSE(grow(common, other, kEnough));  // any step of the model goes on, here to the end
  const Known after = known(common);
  CHECK(after.size() > before.size());
  for (const auto& [prefix, id] : before) CHECK(after.at(prefix) == id);
  CHECK(&common.state(19) == state);
  for (const auto& [prefix, id] : after) {
    const auto logits = common.logits(id);
    CHECK(std::vector(logits.begin(), logits.end()) == history_logits(fed(prefix)));
  }
  const std::int64_t runs = other.runs;
  CHECK_FALSE(grow(common, other, kEnough));
  CHECK(other.runs == runs);
}

TEST_CASE("a call that finds more of them can be cancelled") {
  SavedStep step;
  CancellationToken token;
  token.cancel();
  const Interrupts interrupts{.token = &token};
  CallCancellation cancellation(interrupts);
  CHECK_THROWS_AS(step.common_prefixes()->grow(step, kEnough, cancellation), CancelledError);
  CHECK(step.common_prefixes()->size() == 1);
  CHECK(common_of(step, kEnough).size() > 40);
}

TEST_CASE("threads read while one of them adds more, and make the same strings") {
  SavedStep growing;
  const auto common = growing.common_prefixes();
  std::atomic<bool> done = false;
  const auto adds = std::async(std::launch::async, [&] {
    auto limits = kFewStates;
    for (limits.count = 2; limits.count < 100; ++limits.count) {
      grow(*common, growing, limits);
      std::this_thread::yield();
    }
    done = true;
  });
  for (const Strategy strategy : {Strategy::kTree, Strategy::kCached}) {
    SameModelStep step(growing);
    DecodeRequest request;
    request.rows = 50;
    request.max_length = 6;
    request.batch_size = 16;
    request.strategy = strategy;
    do {
      check_decode({&step}, request);
      ++request.seed;
    } while (!done);
  }
  adds.wait();
  CHECK(common->size() > 40);
}

TEST_CASE("only the first step may fail") {
  FailingStep step;
  CHECK_THROWS_WITH(CommonPrefixes{step}, "it fails here");
  step.fails_at = 2;
  for (const auto& [prefix, id] : known(common_of(step, kEnough))) CHECK(prefix.size() < 2);
}

TEST_CASE("no step runs for what the model's common prefixes know, and no string changes") {
  for (const auto& limits : {kEnough, kFewStates}) {
    for (const Strategy strategy : {Strategy::kCached, Strategy::kTree}) {
      SavedStep step;
      common_of(step, limits);
      DecodeRequest request;
      request.batch_size = 7;
      request.strategy = strategy;
      for (request.seed = 0; request.seed < 100; ++request.seed) {
        request.max_length = request.seed % 2 == 0 ? 3 : 8;
        request.rows = 1 + static_cast<std::int64_t>(request.seed) / 2;
        check_decode({&step}, request);
      }
      step.runs = 0;
      request.max_length = 1;
      check_decode({&step}, request);
      CHECK(step.runs == 0);
      request.rows = 1;
      request.max_length = 3;
      check_decode({&step}, request);
      CHECK(step.runs == 0);
    }
  }
}

TEST_CASE("what rows know of their ends without a step is what the step would tell") {
  const Ids prompt{1, 2};
  for (const bool log_probs : {false, true}) {
    for (const bool constrained : {false, true}) {
      SavedStep step;
      common_of(step, kFewStates);
      DecodeRequest request;
      request.rows = 200;
      request.max_length = 5;
      request.batch_size = 16;
      request.strategy = Strategy::kTree;
      request.log_probs = log_probs;
      request.sampling = {.temperature = 1.3, .top_k = 3};
      if (constrained) {
        request.prompts.tokens = prompt;
        request.excluded = std::make_shared<ExcludedTokens>(Ids{3}, kVocabSize);
      }
      const auto budget = std::make_shared<CacheBudget>(CacheBudget::kDefaultBytes);
      Worker worker(step, budget);
      const Decoded decoded = decode(std::vector<Worker*>{&worker}, request);
      const Decoded expected = row_by_row(history_logits, kVocabSize, request);
      CHECK(decoded.tokens == expected.tokens);
      CHECK(decoded.lengths == expected.lengths);
      CHECK(decoded.finished == expected.finished);
      if (log_probs) CHECK(decoded.log_probs == expected.log_probs);
    }
  }
}

TEST_CASE("workers that share a tree share what the model's common prefixes know") {
  // No prefix but the empty one, few, all, and all with few states.
  for (const auto& [count, states] : {std::pair{0, 0}, {20, 20}, {10'000, 10'000}, {10'000, 6}}) {
    CommonPrefixes::Limits limits = kEnough;
    limits.count = static_cast<std::size_t>(count);
    limits.states = static_cast<std::size_t>(states);
    SavedStep step;
    SameModelStep second(step), third(step);
    common_of(step, limits);
    DecodeRequest request;
    request.batch_size = 16;
    request.strategy = Strategy::kTree;
    for (request.seed = 0; request.seed < 5; ++request.seed) {
      for (const std::int64_t rows : {1, 30, 3'000}) {
        request.rows = rows;
        request.max_length = rows == 3'000 ? 6 : 20;
        check_decode({&step, &second, &third}, request);
      }
    }
  }
}

TEST_CASE("workers that share a tree run hardly more steps than one") {
  for (const std::size_t count : {0, 10'000}) {
    CommonPrefixes::Limits limits = kEnough;
    limits.count = limits.states = count;
    SavedStep step;
    SameModelStep second(step), third(step);
    common_of(step, limits);
    DecodeRequest request;
    request.rows = 20'000;
    request.max_length = 16;
    request.batch_size = 16;
    request.strategy = Strategy::kTree;
    const auto runs_of = [&](const std::vector<SavedStep*>& steps) {
      for (SavedStep* each : steps) each->runs = 0;
      check_decode(steps, request);
      std::int64_t runs = 0;
      for (const SavedStep* each : steps) runs += each->runs;
      return runs;
    };
    const std::int64_t one = runs_of({&step}), three = runs_of({&step, &second, &third});
    CHECK(three < one + one / 10);
  }
}
