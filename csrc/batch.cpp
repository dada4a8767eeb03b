#include "batch.h"

#include <algorithm>
#include <numeric>

#include "coin.h"

namespace makemore {
namespace {

constexpr std::int64_t kStop = 0;

/// Prefixes past which those that have ended are forgotten.
constexpr std::size_t kMost = std::size_t{1} << 20;

}  // namespace

Batch::Batch(const DecodeRequest& request, std::int64_t vocab_size)
    : request_(request), vocab_size_(vocab_size), chooser_(request.choose, vocab_size) {}

Batch::Batch(const DecodeRequest& request, std::int64_t vocab_size,
             std::span<const std::int64_t> rows)
    : Batch(request, vocab_size) {
  members_.reserve(rows.size());
  endings_.reserve(rows.size());
  for (const std::int64_t row : rows) members_.push_back({row, kStop});
  waiting_.emplace_back().end = members_.size();
}

// The decode loop: a step for as many prefixes as it may take, then each row says its next token,
// and rows that part ways become groups of their own.
bool Batch::run(Step& step, std::size_t most, Watch& watch) {
  const auto vocab_size = static_cast<std::size_t>(vocab_size_);
  while (!waiting_.empty()) {
    if (waiting_.size() > most) {
      save_waiting(step, waiting_.size());
      return false;
    }
    watch.check();
    if (prefixes_.size() > kMost) forget_ended();
    take(step, std::min(waiting_.size(), static_cast<std::size_t>(request_.batch_size)));
    const std::span<const float> logits = feed(step);  // (groups, V)
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const auto row = logits.subspan(i * vocab_size, vocab_size);
      say_next(groups_[i], row);
      part(i, row);
    }
  }
  return true;
}

/// Saves the states of groups that wait on, up to `end`, before the step overwrites them.
void Batch::save_waiting(Step& step, std::size_t end) {
  if (!step.can_save()) return;
  for (; fresh_ < end; ++fresh_) waiting_[fresh_].state = step.save(waiting_[fresh_].parent);
}

/// Takes `count` groups off the pile and gives each a row of the step. The first child of a row
/// stays where it is, so that its state need be neither saved nor copied.
void Batch::take(Step& step, std::size_t count) {
  const std::size_t left = waiting_.size() - count;
  const bool at_start = waiting_.back().position == 0;
  if (at_start) fresh_ = waiting_.size();  // there was no step
  save_waiting(step, left);
  places_.assign(count, nullptr);
  movers_.clear();
  for (std::size_t i = left; i < waiting_.size(); ++i) {
    Group& group = waiting_[i];
    const auto parent = static_cast<std::size_t>(group.parent);
    if (i >= fresh_ && parent < count && places_[parent] == nullptr) {
      places_[parent] = &group;
    } else {
      if (i >= fresh_ && step.can_save()) group.state = step.save(group.parent);
      movers_.push_back(&group);
    }
  }
  groups_.clear();
  states_.clear();
  parents_.clear();
  auto mover = movers_.begin();
  for (Group* stayer : places_) {
    groups_.push_back(std::move(stayer != nullptr ? *stayer : **mover++));
    parents_.push_back(groups_.back().parent);
    states_.push_back(std::nullopt);
    if (stayer == nullptr) states_.back() = std::move(groups_.back().state);
  }
  waiting_.resize(left);
  fresh_ = left;
  if (step.can_save()) {
    step.restore(states_);
  } else if (at_start) {
    step.reset(1);
  } else {
    step.select(parents_);
  }
}

std::span<const float> Batch::feed(Step& step) {
  tokens_.clear();
  positions_.clear();
  for (const Group& group : groups_) {
    tokens_.push_back(group.token);
    positions_.push_back(group.position);
  }
  return step.run(tokens_, positions_);
}

/// Each member throws its own coin at the distribution they share, unless its prompt speaks.
void Batch::say_next(const Group& group, std::span<const float> logits) {
  bool prepared = false;
  for (Member& member : std::span(members_).subspan(group.begin, group.end - group.begin)) {
    const auto prompt = request_.prompts.of(member.row);
    if (static_cast<std::size_t>(group.position) < prompt.size()) {
      member.next = prompt[static_cast<std::size_t>(group.position)];
      continue;
    }
    if (!prepared) chooser_.prepare(logits);
    prepared = true;
    const auto number = request_.first_row + static_cast<std::uint64_t>(member.row);
    const auto position = static_cast<std::uint32_t>(group.position);
    member.next = chooser_.pick(coin(request_.seed, number, position));
  }
}

/// Brings those that said the same together: by counting, if they are many.
void Batch::sort(std::span<Member> members) {
  const auto size = static_cast<std::size_t>(vocab_size_);
  if (members.size() < size) {
    std::ranges::sort(members, {}, &Member::next);
    return;
  }
  begins_.assign(size + 1, 0);
  for (const Member& member : members) ++begins_[static_cast<std::size_t>(member.next) + 1];
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  unsorted_.assign(members.begin(), members.end());
  for (const Member& member : unsorted_) {
    members[begins_[static_cast<std::size_t>(member.next)]++] = member;
  }
}

/// Members that said the same stop, are cut, or go on as one group.
void Batch::part(std::size_t index, std::span<const float> logits) {
  const Group& group = groups_[index];
  const auto at = [this](std::size_t i) {
    return members_.begin() + static_cast<std::ptrdiff_t>(i);
  };
  sort(std::span(members_).subspan(group.begin, group.end - group.begin));
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
    if (stopped || group.position + 1 == request_.max_length) {
      const std::size_t first = said_.size();
      const std::int64_t length = prefixes_.append_to(said_, prefix);
      for (const Member& member : std::span(members_).subspan(begin, end - begin)) {
        endings_.push_back({member.row, first, length, log_prob, stopped});
      }
    } else {
      waiting_.push_back({prefix, token, group.position + 1, static_cast<std::int64_t>(index),
                          log_prob, begin, end, nullptr});
    }
  }
}

void Batch::forget_ended() {
  Prefixes kept;
  for (Group& group : waiting_) group.prefix = kept.add_from(prefixes_, group.prefix);
  prefixes_ = std::move(kept);
}

std::vector<Batch> Batch::split(std::size_t count) {
  std::size_t left = 0;  // rows that wait
  for (const Group& group : waiting_) left += group.end - group.begin;
  std::vector<Batch> parts;
  for (auto group = waiting_.begin(); count > 0; --count) {
    Batch& part = parts.emplace_back(Batch(request_, vocab_size_));
    const std::size_t share = left / count;
    for (; group != waiting_.end() && part.members_.size() < share; ++group) {
      const auto members = std::span(members_).subspan(group->begin, group->end - group->begin);
      Group& moved = part.waiting_.emplace_back(std::move(*group));
      moved.prefix = part.prefixes_.add_from(prefixes_, moved.prefix);
      moved.begin = part.members_.size();
      part.members_.insert(part.members_.end(), members.begin(), members.end());
      moved.end = part.members_.size();
    }
    part.fresh_ = part.waiting_.size();
    part.endings_.reserve(part.members_.size());
    left -= part.members_.size();
  }
  waiting_.clear();
  return parts;
}

std::vector<std::int64_t> Batch::rows() const {
  std::vector<std::int64_t> rows;
  for (const Member& member : members_) rows.push_back(member.row);
  return rows;
}

}  // namespace makemore
