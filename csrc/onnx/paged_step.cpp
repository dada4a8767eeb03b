#include "paged_step.h"

#include <algorithm>
#include <string>

namespace makemore {

PagedStep::PagedStep(std::shared_ptr<const OnnxModel> model,
                     const transformer::TransformerStep& fused)
    : OnnxStep(std::move(model)),
      fused_(fused),
      pool_(SnapshotPool::make(fused_.page_floats() * sizeof(float))) {}

void PagedStep::reset(std::int64_t rows) {
  require_rows(rows);
  require_memory(static_cast<std::size_t>(rows));
  states_.assign(static_cast<std::size_t>(rows), StateSnapshot());
}

std::span<const float> PagedStep::run(std::span<const std::int64_t> tokens,
                                      std::span<const std::int64_t> positions) {
  require_fit(std::ssize(states_), tokens, positions);
  const std::size_t rows = states_.size(), block_size = fused_.model().block_size;
  fused_.require_known(tokens, positions);
  pages_.resize(rows * block_size);
  written_.resize(rows);
  logits_.resize(rows * fused_.model().vocab_size);
  for (std::size_t row = 0; row < rows; ++row) {
    StateSnapshot& state = states_[row];
    while (state && state->steps > positions[row]) state = StateSnapshot(state)->before;
    const std::int64_t steps = state ? state->steps : 0;
    if (positions[row] > steps) {
      throw OptionError("a row of " + std::to_string(steps) + " steps was given position " +
                        std::to_string(positions[row]));
    }
    auto [snapshot, data] = pool_->add(std::move(state), steps + 1);
    state = std::move(snapshot);
    written_[row] = reinterpret_cast<float*>(data);
    pages_[row * block_size + static_cast<std::size_t>(steps)] = written_[row];
  }
  fused_.run(tokens, positions, pages_.data(), written_.data(), logits_.data());
  return logits_;
}

void PagedStep::select(std::span<const std::int64_t> parents) {
  require_parents(std::ssize(states_), parents);
  std::vector<std::optional<StateSnapshot>> states;
  for (const std::int64_t parent : parents) {
    states.push_back(states_[static_cast<std::size_t>(parent)]);
  }
  restore(states);
}

void PagedStep::restore(std::span<const std::optional<StateSnapshot>> states) {
  const std::size_t block_size = fused_.model().block_size;
  require_memory(states.size());
  states_.resize(states.size());
  pages_.resize(states.size() * block_size);
  for (std::size_t row = 0; row < states.size(); ++row) {
    if (!states[row] || states_[row] == *states[row]) continue;
    states_[row] = *states[row];
    for (const SnapshotNode* step = states_[row].get(); step != nullptr;
         step = step->before.get()) {
      pages_[row * block_size + static_cast<std::size_t>(step->steps - 1)] =
          reinterpret_cast<const float*>(step->data);
    }
  }
}

}  // namespace makemore
