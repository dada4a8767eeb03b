#include "row_filter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "decode.h"
#include "errors.h"
#include "row_by_row.h"
#include "saved_step.h"

using namespace makemore;

namespace {

using Table = std::vector<RowFilter::State>;
using Flags = std::vector<std::uint8_t>;

constexpr RowFilter::State kDead = RowFilter::kDead;

/// Any automaton of that many states: some transitions are dead, and few states accept.
std::shared_ptr<const RowFilter> any_filter(std::size_t states, unsigned seed) {
  std::mt19937 random(seed);
  const auto upper = static_cast<RowFilter::State>(states) - 1;
  std::uniform_int_distribution<RowFilter::State> state(-1, upper);
  Table transitions(states * kVocabSize);
  for (auto& to : transitions) to = state(random);
  Flags accepting(states);
  for (auto& flag : accepting) flag = random() % 3 == 0 ? 1 : 0;
  return std::make_shared<const RowFilter>(transitions, accepting, kVocabSize);
}

}  // namespace

TEST_CASE("a filter knows how many tokens a string that passes needs yet") {
  // 0 -1-> 1 -2-> 2 (accepts) -1-> 3, which leads to itself alone
  const RowFilter filter({-1, 1, -1, -1, -1, 2, -1, 3, -1, 3, 3, 3}, {0, 0, 1, 0}, 3);
  CHECK(filter.next(0, 1) == 1);
  CHECK(filter.next(0, 2) == kDead);
  CHECK(filter.next(kDead, 1) == kDead);
  CHECK(filter.next(1, 0) == 1);  // the stop token adds nothing
  CHECK(filter.accepts(2));
  for (const RowFilter::State state : {0, 1, 3, -1}) CHECK_FALSE(filter.accepts(state));
  CHECK(filter.can_pass(0, 2));
  CHECK_FALSE(filter.can_pass(0, 1));
  CHECK(filter.can_pass(2, 0));
  CHECK_FALSE(filter.can_pass(3, 1'000'000));
  CHECK_FALSE(filter.can_pass(kDead, 1'000'000));
}

TEST_CASE("tables that are no automaton are refused") {
  const char* no_table = "the transitions of a filter of 2 states and 3 tokens are 5";
  CHECK_THROWS_WITH_AS(RowFilter(Table(5), Flags(2), 3), no_table, OptionError);
  CHECK_THROWS_AS(RowFilter({}, {}, 3), OptionError);
  CHECK_THROWS_AS(RowFilter({0, 0}, {1}, 0), OptionError);
  CHECK_THROWS_WITH_AS(RowFilter({0, 2, 0}, {1}, 3), "a state of a filter is 2; it has 1",
                       OptionError);
  CHECK_THROWS_AS(RowFilter({0, -2, 0}, {1}, 3), OptionError);
}

TEST_CASE("the rows that pass are those of all rows, whatever the strategy and the batch") {
  int passed = 0;
  for (const bool stateless : {false, true}) {
    const LogitsOf logits = stateless ? logits_of_last : history_logits;
    for (const Strategy strategy : {Strategy::kTree, Strategy::kCached}) {
      SavedStep step(stateless);
      Worker worker(step, std::make_shared<CacheBudget>(CacheBudget::kDefaultBytes));
      Worker* pointer = &worker;
      for (unsigned seed = 0; seed < 30; ++seed) {
        DecodeRequest request;
        request.rows = 200;
        request.first_row = 1000;
        request.max_length = 1 + seed % 9;
        request.seed = seed;
        request.batch_size = 1 + seed % 7;
        request.strategy = strategy;
        request.filter = any_filter(1 + seed % 5, seed);
        const std::vector<std::int64_t> prompt{1};
        if (seed % 3 == 0) request.prompts.tokens = prompt;
        const Decoded made = decode({&pointer, 1}, request);
        const Decoded expected = row_by_row(logits, kVocabSize, request);
        CHECK(made.rows == expected.rows);
        CHECK(made.tokens == expected.tokens);
        CHECK(made.lengths == expected.lengths);
        CHECK(made.finished == expected.finished);
        passed += static_cast<int>(made.rows.size());
      }
    }
  }
  CHECK(passed > 1000);
}
