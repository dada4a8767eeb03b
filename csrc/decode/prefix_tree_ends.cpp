#include "prefix_tree_decoder.h"

namespace makemore {
namespace {

/// Rows of a group at most that are looked at one by one: more of them share a step.
constexpr std::size_t kFewRows = 4;

}  // namespace

/// Of a group whose prefix is a common one without a state: finishes the rows that end before they
/// need one. The others stay, and draw the same tokens again, since a coin is a row's and a
/// position's.
void PrefixTreeDecoder::finish_known(Group& group) {
  const bool is_plain =
      request_.records.empty() && request_.processors.empty() && !request_.drawn_log_probs;
  if (!is_plain || group.end - group.begin > kFewRows) return;
  std::size_t kept = group.begin;
  for (std::size_t i = group.begin; i < group.end; ++i) {
    if (!draws_known_end(group, sequences_[i].row)) sequences_[kept++] = sequences_[i];
  }
  group.end = kept;
}

/// Draws the tokens of a row as long as the logits are known. Whether it has come to its end, and
/// is finished.
bool PrefixTreeDecoder::draws_known_end(const Group& group, std::int64_t row) {
  prefix_.clear();
  tree_.append_to(prefix_, group.prefix);
  double log_prob = group.log_prob;
  RowFilter::State filter_state = group.filter_state;
  CommonPrefixes::Id common = group.common;
  for (std::int64_t position = group.position; common != CommonPrefixes::kNone; ++position) {
    const std::span<const float> logits = common_->logits(common);
    const std::int64_t token = next_token(request_, row, position, [&] {
      sampler_.prepare(logits, allowed_tokens(request_.excluded.get()));
      return sampler_.cumulative();
    });
    filter_state = next_state(request_, filter_state, token);
    const FinishReason reason = finish_reason(request_, token, position, filter_state);
    if (reason == FinishReason::kRejected) return true;
    if (token != kStop) prefix_.push_back(static_cast<std::int32_t>(token));
    if (request_.log_probs) {
      log_prob = log_prob + logits[static_cast<std::size_t>(token)] - log_sum_exp(logits);
    }
    if (reason != FinishReason::kNone) {
      finished_.sequences.push_back(
          {row, finished_.tokens.size(), prefix_.size(), log_prob, reason});
      finished_.tokens.insert(finished_.tokens.end(), prefix_.begin(), prefix_.end());
      return true;
    }
    common = common_->child(common, token);
  }
  return false;
}

}  // namespace makemore
