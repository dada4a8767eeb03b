#include "cpu_step.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace makemore {

CpuStep::CpuStep(std::shared_ptr<const OnnxModel> model,
                 std::span<const std::optional<std::int64_t>> time_axes)
    : model_(std::move(model)) {
  const auto& states = model_->states();
  if (time_axes.size() != states.size()) {
    throw ArtifactError("the metadata names " + std::to_string(time_axes.size()) +
                        " states, the model has " + std::to_string(states.size()));
  }
  for (std::size_t i = 0; i < states.size(); ++i) {
    Buffer buffer{states[i].row_bytes, 1, 1, states[i].row_bytes, time_axes[i].has_value(), {}, {}};
    if (time_axes[i]) {
      const auto& shape = states[i].shape;
      if (*time_axes[i] < 0 || *time_axes[i] >= std::ssize(shape)) {
        throw ArtifactError("state " + states[i].name + " has no axis " +
                            std::to_string(*time_axes[i]));
      }
      const auto axis = static_cast<std::size_t>(*time_axes[i]);
      for (std::size_t j = 0; j < axis; ++j) buffer.outer *= static_cast<std::size_t>(shape[j]);
      buffer.slots = static_cast<std::size_t>(shape[axis]);
      buffer.slot_bytes = buffer.row_bytes / buffer.outer / buffer.slots;
    }
    buffers_.push_back(std::move(buffer));
  }
  if (std::ranges::all_of(buffers_, &Buffer::in_place)) fused_ = model_->fused_step();
}

void CpuStep::Buffer::copy_row(std::size_t from, std::size_t to, std::int64_t used) {
  const std::byte* source = now.data() + from * row_bytes;
  std::byte* target = now.data() + to * row_bytes;
  const std::size_t bytes =
      in_place ? std::min(static_cast<std::size_t>(used), slots) * slot_bytes : row_bytes;
  for (std::size_t i = 0; i < outer; ++i) {
    std::memcpy(target, source, bytes);
    source += slots * slot_bytes;
    target += slots * slot_bytes;
  }
}

void CpuStep::reserve(std::size_t rows) {
  if (rows <= capacity_) return;
  capacity_ = std::max(rows, 2 * capacity_);
  for (Buffer& buffer : buffers_) {
    // New memory is zero: slots not yet in use are masked by the model, but must not hold NaN.
    buffer.now.resize(capacity_ * buffer.row_bytes);
    if (!buffer.in_place) buffer.next.resize(capacity_ * buffer.row_bytes);
  }
  tokens_.resize(capacity_);
  positions_.resize(capacity_);
  used_.resize(capacity_);
  logits_.resize(capacity_ * static_cast<std::size_t>(vocab_size()));
  bound_ = 0;
  fused_caches_.clear();
  for (Buffer& buffer : buffers_) {
    fused_caches_.push_back(reinterpret_cast<float*>(buffer.now.data()));
  }
}

void CpuStep::reset(std::int64_t rows) {
  if (rows < 0) throw OptionError("rows is " + std::to_string(rows) + "; it must be >= 0");
  rows_ = static_cast<std::size_t>(rows);
  reserve(rows_);
  for (std::size_t row = 0; row < rows_; ++row) clear(row);
}

void CpuStep::bind(std::size_t rows) {
  const ort::Library& library = model_->library();
  const auto count = static_cast<std::int64_t>(rows);
  const auto add = [&](auto& memory, std::size_t size, std::vector<std::int64_t> shape, int type) {
    shape.insert(shape.begin(), count);
    tensors_.push_back(library.tensor(std::span(memory).first(rows * size), shape, type));
    return tensors_.back().get();
  };
  tensors_.clear();
  inputs_ = {add(tokens_, 1, {}, ort::kInt64), add(positions_, 1, {}, ort::kInt64)};
  const auto vocab = static_cast<std::size_t>(vocab_size());
  outputs_ = {add(logits_, vocab, {vocab_size()}, ort::kFloat)};
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& buffer = buffers_[i];
    const StateTensor& state = model_->states()[i];
    inputs_.push_back(add(buffer.now, buffer.row_bytes, state.shape, state.element_type));
    outputs_.push_back(buffer.in_place
                           ? inputs_.back()
                           : add(buffer.next, buffer.row_bytes, state.shape, state.element_type));
  }
  bound_ = rows;
}

std::span<const float> CpuStep::run(std::span<const std::int64_t> tokens,
                                    std::span<const std::int64_t> positions) {
  if (tokens.size() != rows_ || positions.size() != rows_) {
    throw OptionError("a step of " + std::to_string(rows_) + " rows was given " +
                      std::to_string(tokens.size()) + " tokens and " +
                      std::to_string(positions.size()) + " positions");
  }
  if (rows_ == 0) return {};
  if (fused_ != nullptr) {
    fused_->run(tokens, positions, fused_caches_, logits_.data());
  } else {
    run_session(tokens, positions);
  }
  for (std::size_t row = 0; row < rows_; ++row) used_[row] = positions[row] + 1;
  return std::span(logits_).first(rows_ * static_cast<std::size_t>(vocab_size()));
}

void CpuStep::run_session(std::span<const std::int64_t> tokens,
                          std::span<const std::int64_t> positions) {
  if (bound_ != rows_) bind(rows_);
  std::ranges::copy(tokens, tokens_.begin());
  std::ranges::copy(positions, positions_.begin());
  const auto& in = model_->input_names();
  const auto& out = model_->output_names();
  model_->library().check("a step failed", ort::Run, model_->session(), nullptr, in.data(),
                          inputs_.data(), in.size(), out.data(), out.size(), outputs_.data());
  swap();
}

void CpuStep::swap() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].in_place) continue;
    buffers_[i].now.swap(buffers_[i].next);
    std::swap(inputs_[2 + i], outputs_[1 + i]);
  }
}

void CpuStep::select(std::span<const std::int64_t> parents) {
  reserve(parents.size());
  for (std::size_t row = 0; row < parents.size(); ++row) {
    const auto parent = static_cast<std::size_t>(parents[row]);
    if (parents[row] < 0 || parent >= rows_) {
      throw OptionError("parent " + std::to_string(parents[row]) + " is none of the " +
                        std::to_string(rows_) + " rows");
    }
    if (parent == row) continue;
    if (parent < parents.size() && parents[parent] != parents[row]) {
      throw OptionError("row " + std::to_string(parent) + " is both copied and replaced");
    }
    for (Buffer& buffer : buffers_) buffer.copy_row(parent, row, used_[parent]);
    used_[row] = used_[parent];
  }
  rows_ = parents.size();
}

std::size_t CpuStep::state_bytes() const {
  std::size_t bytes = 0;
  for (const Buffer& buffer : buffers_) bytes += buffer.step_bytes();
  return bytes;
}

// Of a cache a step saves the slot that it has written, of another state all.
void CpuStep::save(std::int64_t row, State& state) const {
  const auto at = static_cast<std::size_t>(row);
  state.resize(state_bytes());
  std::byte* target = state.data();
  for (const Buffer& buffer : buffers_) {
    const std::size_t slot = buffer.in_place ? static_cast<std::size_t>(used_[at] - 1) : 0;
    const std::size_t bytes = buffer.step_bytes() / buffer.outer;
    const std::byte* source = buffer.now.data() + at * buffer.row_bytes + slot * buffer.slot_bytes;
    for (std::size_t i = 0; i < buffer.outer; ++i) {
      std::memcpy(target, source, bytes);
      source += buffer.slots * buffer.slot_bytes;
      target += bytes;
    }
  }
}

void CpuStep::restore(std::span<const std::optional<History>> rows) {
  reserve(rows.size());
  rows_ = rows.size();
  for (std::size_t row = 0; row < rows_; ++row) {
    if (!rows[row]) continue;
    if (rows[row]->empty()) {
      clear(row);
    } else {
      put(row, *rows[row]);
    }
  }
}

void CpuStep::clear(std::size_t row) {
  used_[row] = 0;
  for (Buffer& buffer : buffers_) {
    std::memset(buffer.now.data() + row * buffer.row_bytes, 0, buffer.row_bytes);
  }
}

void CpuStep::put(std::size_t row, const History& history) {
  used_[row] = std::ssize(history);
  std::size_t offset = 0;  // of the buffer in a state
  for (Buffer& buffer : buffers_) {
    const std::size_t bytes = buffer.step_bytes() / buffer.outer;
    const std::size_t first = buffer.in_place ? 0 : history.size() - 1;
    std::byte* target = buffer.now.data() + row * buffer.row_bytes;
    for (std::size_t slot = first; slot < history.size(); ++slot, target += buffer.slot_bytes) {
      const std::byte* source = history[slot]->data() + offset;
      for (std::size_t i = 0; i < buffer.outer; ++i) {
        std::memcpy(target + i * buffer.slots * buffer.slot_bytes, source + i * bytes, bytes);
      }
    }
    offset += buffer.step_bytes();
  }
}

}  // namespace makemore
