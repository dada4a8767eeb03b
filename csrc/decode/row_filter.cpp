#include "row_filter.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "errors.h"

namespace makemore {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

using States = std::vector<RowFilter::State>;

/// The states that lead to each state in one token.
std::vector<States> predecessors(const States& transitions, std::size_t vocab_size,
                                 std::size_t states) {
  std::vector<States> before(states);
  for (std::size_t from = 0; from < states; ++from) {
    for (std::size_t token = 1; token < vocab_size; ++token) {
      const RowFilter::State to = transitions[from * vocab_size + token];
      if (to == RowFilter::kDead) continue;
      States& into = before[static_cast<std::size_t>(to)];
      const auto state = static_cast<RowFilter::State>(from);
      if (into.empty() || into.back() != state) into.push_back(state);
    }
  }
  return before;
}

/// Breadth-first search, backwards from the accepting states.
std::vector<std::int64_t> distances(const States& transitions,
                                    const std::vector<std::uint8_t>& accepting,
                                    std::size_t vocab_size) {
  const auto before = predecessors(transitions, vocab_size, accepting.size());
  std::vector<std::int64_t> distance(accepting.size(), kNever);
  States reached;
  for (std::size_t state = 0; state < accepting.size(); ++state) {
    if (accepting[state] == 0) continue;
    distance[state] = 0;
    reached.push_back(static_cast<RowFilter::State>(state));
  }
  for (std::size_t i = 0; i < reached.size(); ++i) {
    const auto to = static_cast<std::size_t>(reached[i]);
    for (const RowFilter::State from : before[to]) {
      std::int64_t& of_from = distance[static_cast<std::size_t>(from)];
      if (of_from != kNever) continue;
      of_from = distance[to] + 1;
      reached.push_back(from);
    }
  }
  return distance;
}

}  // namespace

RowFilter::RowFilter(States transitions, std::vector<std::uint8_t> accepting,
                     std::int64_t vocab_size)
    : vocab_size_(static_cast<std::size_t>(std::max(vocab_size, std::int64_t{0}))),
      transitions_(std::move(transitions)) {
  const std::size_t states = accepting.size();
  if (states == 0 || vocab_size_ == 0 || transitions_.size() / states != vocab_size_ ||
      transitions_.size() % states != 0) {
    throw OptionError("the transitions of a filter of " + std::to_string(states) + " states and " +
                      std::to_string(vocab_size) + " tokens are " +
                      std::to_string(transitions_.size()));
  }
  for (const State state : transitions_) {
    if (state != kDead && (state < 0 || static_cast<std::size_t>(state) >= states)) {
      throw OptionError("a state of a filter is " + std::to_string(state) + "; it has " +
                        std::to_string(states));
    }
  }
  fewest_more_ = distances(transitions_, accepting, vocab_size_);
}

}  // namespace makemore
