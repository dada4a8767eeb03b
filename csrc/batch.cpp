#include "batch.h"

#include <algorithm>

#include "coin.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;

}  // namespace

Batch::Batch(Step& step, const DecodeRequest& request, std::span<const std::int64_t> rows)
    : step_(step),
      request_(request),
      chooser_(request.choose, step.vocab_size()),
      endings_(rows.size()) {
  for (const std::int64_t row : rows) members_.push_back({row, kStop});
}

// The decode loop: one step for every prefix that is alive, then each row says its next token, and
// rows that part ways become groups of their own.
bool Batch::run(std::size_t most_groups, Watch& watch) {
  const auto vocab_size = static_cast<std::size_t>(step_.vocab_size());
  groups_ = {{Prefixes::kEmpty, kStop, 0, 0.0, 0, members_.size()}};
  step_.reset(1);
  for (std::int64_t position = 0; !groups_.empty(); ++position) {
    watch.check();
    const std::span<const float> logits = feed(position);  // (groups, V)
    children_.clear();
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const auto row = logits.subspan(i * vocab_size, vocab_size);
      say_next(groups_[i], position, row);
      part(i, position, row);
    }
    if (children_.size() > most_groups) return false;
    settle();
  }
  return true;
}

std::span<const float> Batch::feed(std::int64_t position) {
  tokens_.clear();
  for (const Group& group : groups_) tokens_.push_back(group.token);
  positions_.assign(groups_.size(), position);
  return step_.run(tokens_, positions_);
}

/// Each member throws its own coin at the distribution they share, unless its prompt speaks.
void Batch::say_next(const Group& group, std::int64_t position, std::span<const float> logits) {
  bool prepared = false;
  for (Member& member : std::span(members_).subspan(group.begin, group.end - group.begin)) {
    const auto prompt = request_.prompts.of(member.row);
    if (static_cast<std::size_t>(position) < prompt.size()) {
      member.next = prompt[static_cast<std::size_t>(position)];
      continue;
    }
    if (!prepared) chooser_.prepare(logits);
    prepared = true;
    const auto number = request_.first_row + static_cast<std::uint64_t>(member.row);
    member.next = chooser_.pick(coin(request_.seed, number, static_cast<std::uint32_t>(position)));
  }
}

/// Members that said the same stop, are cut, or go on as one group.
void Batch::part(std::size_t index, std::int64_t position, std::span<const float> logits) {
  const Group& group = groups_[index];
  const auto at = [this](std::size_t i) {
    return members_.begin() + static_cast<std::ptrdiff_t>(i);
  };
  std::ranges::stable_sort(at(group.begin), at(group.end), {}, &Member::next);
  const double normalizer = request_.log_probs ? log_sum_exp(logits) : 0;
  for (std::size_t begin = group.begin, end; begin < group.end; begin = end) {
    const std::int64_t token = members_[begin].next;
    const auto other = std::ranges::upper_bound(at(begin), at(group.end), token, {}, &Member::next);
    end = static_cast<std::size_t>(other - members_.begin());

    const double log_prob =
        request_.log_probs ? group.log_prob + logits[static_cast<std::size_t>(token)] - normalizer
                           : 0;
    const bool stopped = token == kStop;
    const auto prefix = stopped ? group.prefix : prefixes_.add(group.prefix, token);
    if (stopped || position + 1 == request_.max_length) {
      std::fill_n(&endings_[begin], end - begin, Ending{prefix, log_prob, stopped});
    } else {
      children_.push_back({prefix, token, static_cast<std::int64_t>(index), log_prob, begin, end});
    }
  }
}

/// Gives each child a row of the step. The first child of a row stays where it is, so that its
/// state need not be copied; the others take the rows that fell free, then new ones.
void Batch::settle() {
  places_.assign(children_.size(), nullptr);
  movers_.clear();
  for (const Group& child : children_) {
    const auto parent = static_cast<std::size_t>(child.parent);
    const bool stays = parent < places_.size() && places_[parent] == nullptr;
    if (stays) {
      places_[parent] = &child;
    } else {
      movers_.push_back(&child);
    }
  }
  groups_.clear();
  parents_.clear();
  auto mover = movers_.begin();
  for (const Group* child : places_) {
    groups_.push_back(child != nullptr ? *child : **mover++);
    parents_.push_back(groups_.back().parent);
  }
  step_.select(parents_);
}

std::vector<std::int64_t> Batch::rows() const {
  std::vector<std::int64_t> rows;
  for (const Member& member : members_) rows.push_back(member.row);
  return rows;
}

Decoded Batch::strings() const {
  Decoded out;
  for (const Ending& ending : endings_) {
    out.lengths.push_back(prefixes_.append_to(out.tokens, ending.prefix));
    out.log_probs.push_back(ending.log_prob);
    out.finished.push_back(ending.stopped ? 1 : 0);
  }
  return out;
}

}  // namespace makemore
