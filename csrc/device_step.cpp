#include "device_step.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "gather_model.h"

namespace makemore {

DeviceStep::DeviceStep(std::shared_ptr<const OnnxModel> model)
    : model_(std::move(model)),
      memory_(model_->library().memory(model_->device())),
      gather_float_(model_->library().session(ort::gather_model(ort::kFloat), model_->device())),
      gather_int64_(model_->library().session(ort::gather_model(ort::kInt64), model_->device())) {}

DeviceStep::Binding DeviceStep::new_binding(ort::OrtSession* session) const {
  const ort::Library& library = model_->library();
  ort::OrtIoBinding* raw = nullptr;
  library.check("making a binding", ort::CreateIoBinding, session, &raw);
  return library.own(ort::ReleaseIoBinding, raw);
}

void DeviceStep::bind_input(const Binding& binding, const char* name,
                            const ort::OrtValue* value) const {
  model_->library().check("binding an input", ort::BindInput, binding.get(), name, value);
}

void DeviceStep::run_bound(ort::OrtSession* session, const Binding& binding) const {
  model_->library().check("a step failed", ort::RunWithBinding, session, nullptr, binding.get());
}

std::vector<DeviceStep::Value> DeviceStep::outputs_of(const Binding& binding) const {
  const ort::Library& library = model_->library();
  ort::OrtAllocator* allocator = library.default_allocator();
  ort::OrtValue** raw = nullptr;
  std::size_t count = 0;
  library.check("reading outputs", ort::GetBoundOutputValues, binding.get(), allocator, &raw,
                &count);
  std::vector<Value> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(library.own(ort::ReleaseValue, raw[i]));
  }
  library.check("freeing a list", ort::AllocatorFree, allocator, static_cast<void*>(raw));
  return values;
}

void DeviceStep::reset(std::int64_t rows) {
  if (rows < 0) throw OptionError("rows is " + std::to_string(rows) + "; it must be >= 0");
  rows_ = rows;
  states_.clear();
  zeros_.clear();
  for (const StateTensor& state : model_->states()) {
    zeros_.emplace_back(static_cast<std::size_t>(rows) * state.row_bytes);
    std::vector<std::int64_t> shape = state.shape;
    shape.insert(shape.begin(), rows);
    states_.push_back(
        model_->library().tensor(std::span(zeros_.back()), shape, state.element_type));
  }
}

std::span<const float> DeviceStep::run(std::span<const std::int64_t> tokens,
                                       std::span<const std::int64_t> positions) {
  if (std::ssize(tokens) != rows_ || std::ssize(positions) != rows_) {
    throw OptionError("a step of " + std::to_string(rows_) + " rows was given " +
                      std::to_string(tokens.size()) + " tokens and " +
                      std::to_string(positions.size()) + " positions");
  }
  if (rows_ == 0) return {};
  const ort::Library& library = model_->library();
  const auto& inputs = model_->input_names();
  const auto& outputs = model_->output_names();
  tokens_.assign(tokens.begin(), tokens.end());
  positions_.assign(positions.begin(), positions.end());
  logits_.resize(tokens.size() * static_cast<std::size_t>(vocab_size()));

  const std::array<std::int64_t, 2> shape{rows_, vocab_size()};
  const auto one_each = std::span(shape).first(1);
  const Value token = library.tensor(std::span(tokens_), one_each, ort::kInt64);
  const Value position = library.tensor(std::span(positions_), one_each, ort::kInt64);
  const Value logits = library.tensor(std::span(logits_), shape, ort::kFloat);
  const Binding binding = new_binding(model_->session());
  bind_input(binding, inputs[0], token.get());
  bind_input(binding, inputs[1], position.get());
  library.check("binding logits", ort::BindOutput, binding.get(), outputs[0], logits.get());
  for (std::size_t i = 0; i < states_.size(); ++i) {
    bind_input(binding, inputs[2 + i], states_[i].get());
    library.check("binding a state", ort::BindOutputToDevice, binding.get(), outputs[1 + i],
                  memory_.get());
  }
  run_bound(model_->session(), binding);
  std::vector<Value> results = outputs_of(binding);
  for (std::size_t i = 0; i < states_.size(); ++i) states_[i] = std::move(results[1 + i]);
  return logits_;
}

void DeviceStep::select(std::span<const std::int64_t> parents) {
  for (const std::int64_t parent : parents) {
    if (parent < 0 || parent >= rows_) {
      throw OptionError("parent " + std::to_string(parent) + " is none of the " +
                        std::to_string(rows_) + " rows");
    }
  }
  std::vector<std::int64_t> indices(static_cast<std::size_t>(rows_));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  if (std::ranges::equal(parents, indices)) return;  // no row moves
  indices.assign(parents.begin(), parents.end());
  const ort::Library& library = model_->library();
  const std::array<std::int64_t, 1> shape{std::ssize(parents)};
  const Value index = library.tensor(std::span(indices), shape, ort::kInt64);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const bool is_float = model_->states()[i].element_type == ort::kFloat;
    ort::OrtSession* gather = (is_float ? gather_float_ : gather_int64_).get();
    const Binding binding = new_binding(gather);
    bind_input(binding, "data", states_[i].get());
    bind_input(binding, "indices", index.get());
    library.check("binding rows", ort::BindOutputToDevice, binding.get(), "rows", memory_.get());
    run_bound(gather, binding);
    states_[i] = std::move(outputs_of(binding).front());
  }
  rows_ = std::ssize(parents);
}

}  // namespace makemore
