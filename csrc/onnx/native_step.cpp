#include "native_step.h"

#include <algorithm>
#include <string>
#include <utility>

#include "bounds.h"

namespace makemore {

NativeStep::NativeStep(std::shared_ptr<const OnnxModel> model, const NativeModel& native,
                       std::optional<std::int64_t> block_size)
    : OnnxStep(std::move(model)),
      native_(native),
      reads_pages_(native.reads_pages()),
      block_size_(std::min(native.block_size(), block_size.value_or(native.block_size()))),
      pool_(SnapshotPool::make(native.state_bytes())),
      zeros_(aligned_buffer(native.state_bytes())) {}

std::size_t NativeStep::snapshot_bytes() const {
  return native_.state_bytes() == 0 ? 0 : pool_->node_bytes();
}

void NativeStep::reset(std::int64_t rows) {
  require_rows(rows);
  require_memory(static_cast<std::size_t>(rows));
  pool_->drop(states_);
  states_.assign(static_cast<std::size_t>(rows), StateSnapshot());
  pages_.resize(states_.size() * pages_per_row());
  if (rows > 0) return;
  previous_ = {};
  pages_ = {};
  part_logits_ = {};
  logits_ = {};
  scratch_ = {};
}

std::size_t NativeStep::scratch_floats(std::size_t rows) const {
  std::size_t floats =
      2 * (native_.vocab_size() + native_.kernel().packing.lanes);  // of the mixture
  for (const auto& part : native_.parts()) {
    floats = std::max(floats, part.component->scratch_floats(rows));
  }
  return floats;
}

/// Gives each row the memory of its next state.
void NativeStep::advance_states(std::span<const std::int64_t> positions) {
  const std::size_t rows = states_.size();
  const auto* zeros = reinterpret_cast<const std::byte*>(zeros_.data());
  before_.assign(rows, zeros);
  after_.assign(rows, nullptr);
  if (native_.state_bytes() == 0) return;
  if (reads_pages_) {
    for (std::size_t row = 0; row < rows; ++row) require_steps(row, positions[row]);
    for (std::size_t row = 0; row < rows; ++row) go_back(row, positions[row]);
  }
  previous_.resize(rows);
  states_.swap(previous_);
  for (std::size_t row = 0; row < rows; ++row) {
    if (previous_[row]) before_[row] = previous_[row]->data;
    if (reads_pages_) states_[row] = previous_[row];
  }
  pool_->add_after(states_, positions, after_);
  for (std::size_t row = 0; reads_pages_ && row < rows; ++row) {
    pages_[row * pages_per_row() + static_cast<std::size_t>(positions[row])] = after_[row];
  }
}

void NativeStep::drop_previous() {
  pool_->drop(previous_);
  previous_.clear();
}

/// Throws OptionError where a row has not come as far as a position.
void NativeStep::require_steps(std::size_t row, std::int64_t position) const {
  const std::int64_t steps = states_[row] ? states_[row]->steps : 0;
  if (position <= steps) return;
  throw OptionError("a row of " + std::to_string(steps) + " steps was given position " +
                    std::to_string(position));
}

/// Drops the steps of a row from a position on.
void NativeStep::go_back(std::size_t row, std::int64_t position) {
  StateSnapshot& state = states_[row];
  while (state && state->steps > position) state = StateSnapshot(state)->before;
}

std::size_t NativeStep::pages_per_row() const {
  return reads_pages_ ? static_cast<std::size_t>(native_.block_size()) : 0;
}

std::span<const float> NativeStep::run(std::span<const std::int64_t> tokens,
                                       std::span<const std::int64_t> positions) {
  require_fit(std::ssize(states_), tokens, positions);
  require_below("a token", tokens, vocab_size());
  require_below("a position", positions, block_size_);
  const std::size_t rows = states_.size(), size = rows * native_.vocab_size();
  const std::size_t bytes = scratch_floats(rows) * sizeof(float);
  if (scratch_.size() * sizeof(AlignedBlock) < bytes) scratch_ = aligned_buffer(bytes);
  const auto& weights = native_.mixture_weights();
  logits_.resize(size);
  part_logits_.resize(weights.size() * size);
  float* const scratch = scratch_.data()->values;
  advance_states(positions);
  float* logits = weights.empty() ? logits_.data() : part_logits_.data();
  for (const auto& part : native_.parts()) {
    part.component->run({rows, tokens.data(), positions.data(), before_.data(), after_.data(),
                         part.offset, logits, pages_.data(), pages_per_row()},
                        scratch);
    logits += size;
  }
  drop_previous();
  if (!weights.empty()) {
    const kernels::Mixture mixture{weights.size(), native_.vocab_size(), weights.data()};
    native_.kernel().mixture(mixture, part_logits_.data(), rows, scratch, logits_.data());
  }
  return logits_;
}

void NativeStep::select(std::span<const std::int64_t> parents) {
  require_parents(std::ssize(states_), parents);
  std::vector<std::optional<StateSnapshot>> states;
  for (const std::int64_t parent : parents) {
    states.push_back(states_[static_cast<std::size_t>(parent)]);
  }
  restore(states);
}

void NativeStep::restore(std::span<const std::optional<StateSnapshot>> states) {
  require_memory(states.size());
  for (std::size_t row = states.size(); row < states_.size(); ++row) {
    previous_.push_back(std::move(states_[row]));
  }
  states_.resize(states.size());
  pages_.resize(states.size() * pages_per_row());
  for (std::size_t row = 0; row < states.size(); ++row) {
    if (states[row] && states_[row] != *states[row]) put(row, *states[row]);
  }
  drop_previous();
}

void NativeStep::put(std::size_t row, const StateSnapshot& state) {
  previous_.push_back(std::exchange(states_[row], state));
  if (!reads_pages_) return;
  for (const SnapshotNode* step = state.get(); step != nullptr; step = step->before.get()) {
    pages_[row * pages_per_row() + static_cast<std::size_t>(step->steps - 1)] = step->data;
  }
}

}  // namespace makemore
