#include <utility>

#include "prefix_tree_decoder.h"

namespace makemore {

/// Saves the states of the groups that wait, and of the pending ones up to `end`, before the step
/// overwrites them.
void PrefixTreeDecoder::save_states(SnapshotStep& step, std::size_t end) {
  const auto save = [&step](Group& group) {
    const bool is_known = group.common != CommonPrefixes::kNone || group.state;
    if (!is_known) group.state = step.save(static_cast<std::int64_t>(group.parent));
  };
  for (; first_unsaved_ < end; ++first_unsaved_) save(pending_[first_unsaved_]);
  for (; saved_waiting_ < waiting_.size(); ++saved_waiting_) save(waiting_[saved_waiting_]);
}

/// Takes `count` groups off the stack and gives each a row of the step. The first group of a parent
/// keeps the parent's row, so that its state need be neither saved nor copied.
void PrefixTreeDecoder::schedule(std::size_t count) {
  const std::size_t rest = pending_.size() - count;
  kept_.assign(count, nullptr);
  moved_.clear();
  for (Group& group : std::span(pending_).subspan(rest)) {
    const bool keeps_row = !group.state && group.parent < count && kept_[group.parent] == nullptr;
    if (keeps_row) {
      kept_[group.parent] = &group;
    } else {
      moved_.push_back(&group);
    }
  }
  groups_.clear();
  auto moved = moved_.begin();
  for (Group* kept : kept_) groups_.push_back(std::move(kept != nullptr ? *kept : **moved++));
  pending_.resize(rest);
  first_unsaved_ = rest;
}

/// Gives each group in the step its state. What is still in a row that another group takes is saved
/// first.
void PrefixTreeDecoder::move_states(SnapshotStep& step) {
  states_.clear();
  for (std::size_t row = 0; row < groups_.size(); ++row) {
    Group& group = groups_[row];
    if (!group.state && group.parent != row) {
      group.state = step.save(static_cast<std::int64_t>(group.parent));
    }
    states_.push_back(std::move(group.state));
  }
  step.restore(states_);
}

void PrefixTreeDecoder::move_states(Step& step) {
  if (groups_.front().position == 0) return step.reset(std::ssize(groups_));
  parents_.clear();
  for (const Group& group : groups_) parents_.push_back(static_cast<std::int64_t>(group.parent));
  step.select(parents_);
}

}  // namespace makemore
