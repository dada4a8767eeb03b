#include "prefix_tree_decoder.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace makemore {
namespace {

/// Prefixes beyond which those that no group needs are dropped.
constexpr std::int64_t kMaxPrefixes = std::int64_t{1} << 20;

std::size_t initial_max_prefixes(const DecodeRequest& request) {
  return static_cast<std::size_t>(std::min(kMaxPrefixes, request.max_tokens));
}

}  // namespace

PrefixTreeDecoder::PrefixTreeDecoder(const DecodeRequest& request, std::int64_t vocab_size)
    : request_(request),
      vocab_size_(vocab_size),
      sampler_(request.sampling, vocab_size),
      max_prefixes_(initial_max_prefixes(request)) {}

bool PrefixTreeDecoder::run(SnapshotStep& step, std::size_t max_groups,
                            CallCancellation& cancellation) {
  common_ = step.common_prefixes();
  return run_any(step, 1, max_groups, cancellation);
}

bool PrefixTreeDecoder::run(Step& step, std::size_t max_groups, CallCancellation& cancellation) {
  for (Group& group : known_) pending_.push_back({.end = group.end});
  known_.clear();
  return run_any(step, 1, max_groups, cancellation);
}

// The decode loop: a step for as many groups as it may take; then each row of a group gets its next
// token, and rows with different tokens become groups of their own.
template <class AnyStep>
bool PrefixTreeDecoder::run_any(AnyStep& step, std::size_t min_rows, std::size_t max_groups,
                                CallCancellation& cancellation) {
  const auto vocab_size = static_cast<std::size_t>(vocab_size_);
  while (!known_.empty() || !pending_.empty()) {
    expand_known(max_groups, cancellation);
    if (known_.size() + pending_.size() > max_groups) {
      save_states(step, pending_.size());
      return false;
    }
    if (pending_.size() < min_rows && pending_rows() < min_rows) break;
    cancellation.check();
    if (tree_.size() > max_prefixes_) drop_finished_prefixes();
    const auto count = std::min(pending_.size(), static_cast<std::size_t>(request_.batch_size));
    save_states(step, pending_.size() - count);
    schedule(count);
    move_states(step);
    const std::span<const float> logits = run_step(step);  // (groups, V)
    for (std::size_t row = 0; row < groups_.size(); ++row) {
      const auto of_row = logits.subspan(row * vocab_size, vocab_size);
      choose_tokens(groups_[row], of_row);
      split_by_token(groups_[row], of_row, row, nullptr);
    }
  }
  save_states(step, 0);
  return true;
}

void PrefixTreeDecoder::run_part(SnapshotStep& step, Part&& part, std::size_t min_rows,
                                 CallCancellation& cancellation) {
  common_ = step.common_prefixes();
  const std::size_t begin = sequences_.size();
  const auto held = std::ssize(pending_);
  finished_.sequences.reserve(part.rows);
  for (const auto& rows : part.sequences) {
    sequences_.insert(sequences_.end(), rows.begin(), rows.end());
  }
  for (Group& group : part.groups) {
    group.prefix = tree_.add_from(part.tree, group.prefix);
    group.begin += begin;
    group.end += begin;
    put(std::move(group));
  }
  expand_known(kUnlimited, cancellation);
  // Those whose states the step still holds go first: they need not be saved.
  std::rotate(pending_.begin(), pending_.begin() + held, pending_.end());
  first_unsaved_ += pending_.size() - static_cast<std::size_t>(held);
  run_any(step, min_rows, kUnlimited, cancellation);
}

std::span<const float> PrefixTreeDecoder::run_step(Step& step) {
  tokens_.clear();
  positions_.clear();
  for (const Group& group : groups_) {
    tokens_.push_back(group.token);
    positions_.push_back(group.position);
  }
  return run_checked(step, tokens_, positions_);
}

/// The distribution after a group's prefix, as `pick` takes it.
std::span<const double> PrefixTreeDecoder::prepare(const Group& group,
                                                   std::span<const float> logits) {
  if (!request_.processors.empty()) {
    prefix_.clear();
    tree_.append_to(prefix_, group.prefix);
    processed_.assign(logits.begin(), logits.end());
    for (const auto& processor : request_.processors) processor->process(prefix_, processed_);
    logits = processed_;
  }
  sampler_.prepare(logits, allowed_tokens(request_.excluded.get()));
  return sampler_.cumulative();
}

/// Each row of a group draws with its own coin from the distribution that they share.
void PrefixTreeDecoder::choose_tokens(const Group& group, std::span<const float> logits) {
  auto cumulative = [&, prepared = std::span<const double>()]() mutable {
    if (prepared.empty()) prepared = prepare(group, logits);
    return prepared;
  };
  const Records& records = request_.records;
  for (Sequence& sequence : std::span(sequences_).subspan(group.begin, group.end - group.begin)) {
    if (!records.empty() && !forced_token(request_, sequence.row, group.position)) {
      if (!records.distributions.empty()) records.set_distribution(sequence.row, cumulative());
      sequence.token = kStop;
    } else {
      sequence.token = next_token(request_, sequence.row, group.position, cumulative);
    }
    if (group.common != CommonPrefixes::kNone) common_->fetch_child(group.common, sequence.token);
  }
}

/// The last token's log-probability, for each row of a group whose prompt has that token.
void PrefixTreeDecoder::record_log_prob(const Group& group, double log_prob) {
  for (const auto& sequence : std::span(sequences_).subspan(group.begin, group.end - group.begin)) {
    if (!forced_token(request_, sequence.row, group.position - 1)) continue;
    const std::size_t place = request_.prompts.place(sequence.row, group.position - 1);
    request_.records.token_log_probs[place] = log_prob;
  }
}

/// Rows of a group with the same token finish together, or become a pending group, whose state is
/// `state`, or null where it is in row `row` of the step.
void PrefixTreeDecoder::split_by_token(const Group& group, std::span<const float> logits,
                                       std::size_t row, const StateSnapshot* state) {
  sort_by_token(std::span(sequences_).subspan(group.begin, group.end - group.begin));
  const double normalizer = request_.log_probs ? log_sum_exp(logits) : 0;
  for (std::size_t begin = group.begin, end; begin < group.end; begin = end) {
    const std::int64_t token = sequences_[begin].token;
    end = begin + 1;
    while (end < group.end && sequences_[end].token == token) ++end;

    Group next = {.prefix = group.prefix,
                  .token = token,
                  .position = group.position + 1,
                  .begin = begin,
                  .end = end,
                  .filter_state = next_state(request_, group.filter_state, token),
                  .parent = row};
    const FinishReason reason = finish_reason(request_, token, group.position, next.filter_state);
    if (reason == FinishReason::kRejected) continue;
    if (token != kStop) next.prefix = tree_.add(group.prefix, token);
    if (request_.log_probs) {
      const float logit = logits[static_cast<std::size_t>(token)];
      next.log_prob = request_.drawn_log_probs ? group.log_prob + sampler_.log_prob(token)
                                               : group.log_prob + logit - normalizer;
      if (!request_.records.token_log_probs.empty()) record_log_prob(next, logit - normalizer);
    }
    if (reason != FinishReason::kNone) {
      finish(next, reason);
      continue;
    }
    if (group.common != CommonPrefixes::kNone) next.common = common_->child(group.common, token);
    if (next.common == CommonPrefixes::kNone || !common_->has_state(next.common)) {
      if (state != nullptr) next.state = *state;
      if (may_end_known(next)) {
        common_->fetch_logits(next.common);
        ending_.push_back(std::move(next));
        continue;
      }
      next.common = CommonPrefixes::kNone;
    }
    put(std::move(next));
  }
}

void PrefixTreeDecoder::finish(const Group& group, FinishReason reason) {
  const std::size_t begin = finished_.tokens.size();
  const std::size_t length = tree_.append_to(finished_.tokens, group.prefix);
  for (std::size_t i = group.begin; i < group.end; ++i) {
    finished_.sequences.push_back({sequences_[i].row, begin, length, group.log_prob, reason});
  }
}

/// Brings equal tokens together: by counting, if there are many sequences.
void PrefixTreeDecoder::sort_by_token(std::span<Sequence> sequences) {
  const auto size = static_cast<std::size_t>(vocab_size_);
  if (sequences.size() < size) {
    std::ranges::sort(sequences, {}, &Sequence::token);
    return;
  }
  begins_.assign(size + 1, 0);
  for (const Sequence& sequence : sequences) {
    ++begins_[static_cast<std::size_t>(sequence.token) + 1];
  }
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  unsorted_.assign(sequences.begin(), sequences.end());
  for (const Sequence& sequence : unsorted_) {
    sequences[begins_[static_cast<std::size_t>(sequence.token)]++] = sequence;
  }
}

void PrefixTreeDecoder::drop_finished_prefixes() {
  PrefixTree needed;
  for (Group& group : pending_) group.prefix = needed.add_from(tree_, group.prefix);
  for (Group& group : waiting_) group.prefix = needed.add_from(tree_, group.prefix);
  tree_ = std::move(needed);
  require_room(request_, tree_.size());
  // Twice as many next time, so that this stays rare where most of them are needed.
  max_prefixes_ = std::max(initial_max_prefixes(request_), 2 * tree_.size());
}

}  // namespace makemore
