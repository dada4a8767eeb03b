#include <algorithm>
#include <iterator>
#include <utility>

#include "prefix_tree_decoder.h"

namespace makemore {
namespace {

/// Groups that take turns.
constexpr std::size_t kInTurn = 16;

/// Rows of a group at most that are looked at one by one: more of them share a step.
constexpr std::size_t kFewRows = 4;

/// The number of a row that has ended.
constexpr std::int64_t kEnded = -1;

}  // namespace

/// Groups with common prefixes get their next tokens until there are none, or too many groups. They
/// take turns: common prefixes are seldom in the processor's cache, and the memory of those whose
/// turn is next is fetched while others are looked at (as in CachedDecoder::advance).
void PrefixTreeDecoder::expand_known(std::size_t max_groups, CallCancellation& cancellation) {
  // The log-probabilities of drawn tokens are those of the group that was looked at last.
  const std::size_t in_turn = request_.drawn_log_probs ? 1 : kInTurn;
  const auto take_next = [&] {
    const auto first = known_.end() - static_cast<std::ptrdiff_t>(std::min(in_turn, known_.size()));
    next_.assign(std::move_iterator(first), std::move_iterator(known_.end()));
    known_.erase(first, known_.end());
    for (const Group& group : next_) common_->fetch(group.common);
  };
  take_next();
  while (!next_.empty() && next_.size() + known_.size() + pending_.size() <= max_groups) {
    cancellation.check();
    std::swap(expanded_, next_);
    take_next();
    for (const Group& group : expanded_) common_->fetch_references(group.common);
    for (const Group& group : expanded_) choose_tokens(group, common_->logits(group.common));
    for (const Group& group : expanded_) {
      split_by_token(group, common_->logits(group.common), 0, &common_->state(group.common));
    }
    end_known();
    if (next_.empty()) take_next();
  }
  std::ranges::move(next_, std::back_inserter(known_));
  next_.clear();
}

/// Whether to look for rows of a group that need no state: its prefix is a common one without it.
bool PrefixTreeDecoder::may_end_known(const Group& group) const {
  const bool is_plain =
      request_.records.empty() && request_.processors.empty() && !request_.drawn_log_probs;
  return is_plain && group.common != CommonPrefixes::kNone && group.end - group.begin <= kFewRows;
}

/// Of the groups in ending_, finishes the rows that end before they need a state. The others stay,
/// and draw the same tokens again, since a coin is a row's and a position's. Rows take turns, as
/// groups do in `expand_known`.
void PrefixTreeDecoder::end_known() {
  std::size_t count = 0;
  for (const Group& group : ending_) {
    for (std::size_t i = group.begin; i < group.end; ++i) {
      if (count == known_rows_.size()) known_rows_.emplace_back();
      KnownRow& known = known_rows_[count++];
      known = {.group = &group,
               .sequence = &sequences_[i],
               .common = group.common,
               .position = group.position,
               .filter_state = group.filter_state,
               .log_prob = group.log_prob,
               .tokens = std::move(known.tokens)};
      known.tokens.clear();
    }
  }
  const auto keep_if = [&](const auto& goes_on) {
    for (std::size_t i = 0; i < count;) {
      if (goes_on(known_rows_[i])) {
        ++i;
      } else {
        std::swap(known_rows_[i], known_rows_[--count]);
      }
    }
  };
  while (count > 0) {
    keep_if([this](KnownRow& known) { return draw_known(known); });
    keep_if([this](KnownRow& known) {
      known.common = common_->child(known.common, known.sequence->token);
      if (known.common == CommonPrefixes::kNone) return false;
      common_->fetch_logits(known.common);
      return true;
    });
  }
  for (Group& group : ending_) {
    std::size_t kept = group.begin;
    for (std::size_t i = group.begin; i < group.end; ++i) {
      if (sequences_[i].row != kEnded) sequences_[kept++] = sequences_[i];
    }
    group.end = kept;
    group.common = CommonPrefixes::kNone;
    if (group.begin < group.end) put(std::move(group));
  }
  ending_.clear();
}

/// Draws the next token of a row, whose logits are known. Whether it goes on; otherwise it has come
/// to its end.
bool PrefixTreeDecoder::draw_known(KnownRow& known) {
  Sequence& sequence = *known.sequence;
  const std::span<const float> logits = common_->logits(known.common);
  const std::int64_t token = next_token(request_, sequence.row, known.position, [&] {
    sampler_.prepare(logits, allowed_tokens(request_.excluded.get()));
    return sampler_.cumulative();
  });
  known.filter_state = next_state(request_, known.filter_state, token);
  const FinishReason reason = finish_reason(request_, token, known.position, known.filter_state);
  if (token != kStop) known.tokens.push_back(static_cast<std::int32_t>(token));
  if (request_.log_probs) {
    known.log_prob = known.log_prob + logits[static_cast<std::size_t>(token)] - log_sum_exp(logits);
  }
  if (reason == FinishReason::kNone) {
    common_->fetch_child(known.common, token);
    sequence.token = token;
    ++known.position;
    return true;
  }
  if (reason != FinishReason::kRejected) {
    const std::size_t begin = finished_.tokens.size();
    const std::size_t before = tree_.append_to(finished_.tokens, known.group->prefix);
    finished_.tokens.insert(finished_.tokens.end(), known.tokens.begin(), known.tokens.end());
    finished_.sequences.push_back(
        {sequence.row, begin, before + known.tokens.size(), known.log_prob, reason});
  }
  sequence.row = kEnded;
  return false;
}

}  // namespace makemore
