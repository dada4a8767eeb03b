#include "device_step.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "bounds.h"
#include "io_binding.h"

namespace makemore {

void DeviceStep::reset(std::int64_t rows) {
  require_rows(rows);
  rows_ = rows;
  states_.clear();
  for (const StateTensor& state : device_->model().states()) {
    states_.push_back(device_->zeros(state.element_type, rows, state.shape));
  }
}

std::span<const float> DeviceStep::run(std::span<const std::int64_t> tokens,
                                       std::span<const std::int64_t> positions) {
  require_fit(rows_, tokens, positions);
  require_below("a token", tokens, vocab_size());
  require_below("a position", positions, device_->block_size());
  if (rows_ == 0) return {};
  const OnnxModel& model = device_->model();
  const ort::Library& library = device_->library();
  const auto& inputs = model.input_names();
  const auto& outputs = model.output_names();
  tokens_.assign(tokens.begin(), tokens.end());
  positions_.assign(positions.begin(), positions.end());
  logits_.resize(tokens.size() * static_cast<std::size_t>(vocab_size()));

  const std::array<std::int64_t, 2> shape{rows_, vocab_size()};
  const auto one_each = std::span(shape).first(1);
  const auto token = library.tensor(std::span(tokens_), one_each, ort::kInt64);
  const auto position = library.tensor(std::span(positions_), one_each, ort::kInt64);
  const auto logits = library.tensor(std::span(logits_), shape, ort::kFloat);
  ort::Binding binding(library, model.session());
  binding.input(inputs[0], token.get());
  binding.input(inputs[1], position.get());
  binding.output(outputs[0], logits.get());
  for (std::size_t i = 0; i < states_.size(); ++i) {
    binding.input(inputs[2 + i], states_[i].get());
    binding.output(outputs[1 + i], device_->memory());
  }
  binding.run();
  auto results = binding.take_outputs();
  for (std::size_t i = 0; i < states_.size(); ++i) states_[i] = std::move(results[1 + i]);
  return logits_;
}

void DeviceStep::select(std::span<const std::int64_t> parents) {
  require_parents(rows_, parents);
  std::vector<std::int64_t> unmoved(static_cast<std::size_t>(rows_));
  std::iota(unmoved.begin(), unmoved.end(), std::int64_t{0});
  if (std::ranges::equal(parents, unmoved)) return;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const StateTensor& state = device_->model().states()[i];
    states_[i] = device_->gather(state.element_type, states_[i].get(), parents);
  }
  rows_ = std::ssize(parents);
}

}  // namespace makemore
