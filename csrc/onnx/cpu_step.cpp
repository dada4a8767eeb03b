#include "cpu_step.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "bounds.h"

namespace makemore {

CpuStep::CpuStep(std::shared_ptr<const OnnxModel> model,
                 std::span<const std::optional<std::int64_t>> time_axes,
                 std::optional<std::int64_t> block_size)
    : OnnxStep(std::move(model)),
      block_size_(block_size.value_or(std::numeric_limits<std::int64_t>::max())) {
  const auto& states = onnx_model().states();
  require_time_axes(states, time_axes, block_size);
  for (std::size_t i = 0; i < states.size(); ++i) {
    Buffer buffer{states[i].row_bytes, 1, 1, states[i].row_bytes, time_axes[i].has_value(), {}, {}};
    if (time_axes[i]) {
      const auto& shape = states[i].shape;
      const auto axis = static_cast<std::size_t>(*time_axes[i]);
      for (std::size_t j = 0; j < axis; ++j) buffer.outer *= static_cast<std::size_t>(shape[j]);
      buffer.slots = static_cast<std::size_t>(shape[axis]);
      block_size_ = std::min(block_size_, shape[axis]);
      buffer.slot_bytes = buffer.row_bytes / buffer.outer / buffer.slots;
    }
    buffers_.push_back(std::move(buffer));
  }
  in_place_ = std::ranges::any_of(buffers_, &Buffer::in_place);
  std::size_t bytes = 0;
  for (const Buffer& buffer : buffers_) bytes += buffer.step_bytes();
  pool_ = SnapshotPool::make(bytes);
}

void CpuStep::Buffer::copy_row(std::size_t from, std::size_t to, std::int64_t steps) {
  const std::byte* source = now.data() + from * row_bytes;
  std::byte* target = now.data() + to * row_bytes;
  const std::size_t bytes =
      in_place ? std::min(static_cast<std::size_t>(steps), slots) * slot_bytes : row_bytes;
  for (std::size_t i = 0; i < outer; ++i) {
    std::memcpy(target, source, bytes);
    source += slots * slot_bytes;
    target += slots * slot_bytes;
  }
}

void CpuStep::reserve(std::size_t rows) {
  if (rows <= capacity_) return;
  require_memory(rows);
  const std::size_t capacity = std::max(rows, std::min(2 * capacity_, onnx_model().max_rows()));
  capacity_ = bound_ = 0;  // until all buffers have their memory
  for (Buffer& buffer : buffers_) {
    // New memory is zeros: the model masks slots that are not yet in use, but they must not be NaN.
    MemoryBlock now(capacity * buffer.row_bytes);
    const auto rest = std::ranges::copy(buffer.now.bytes(), now.bytes().begin()).out;
    std::fill(rest, now.bytes().end(), std::byte{0});
    buffer.now = std::move(now);
    if (!buffer.in_place) buffer.next = MemoryBlock(capacity * buffer.row_bytes);
  }
  tokens_.resize(capacity);
  positions_.resize(capacity);
  steps_.resize(capacity);
  saved_.resize(capacity);
  logits_.resize(capacity * static_cast<std::size_t>(vocab_size()));
  capacity_ = capacity;
}

void CpuStep::reset(std::int64_t rows) {
  require_rows(rows);
  reserve(static_cast<std::size_t>(rows));
  rows_ = static_cast<std::size_t>(rows);
  if (rows_ == 0) return free_buffers();
  for (std::size_t row = 0; row < rows_; ++row) clear(row);
}

/// Forgets all rows, and frees their memory where it is large.
void CpuStep::free_buffers() {
  constexpr std::size_t kMaxKeptBytes = std::size_t{1} << 20;
  std::ranges::fill(saved_, StateSnapshot());
  std::size_t bytes = logits_.capacity() * sizeof(float);
  for (const Buffer& buffer : buffers_) bytes += buffer.now.size() + buffer.next.size();
  if (bytes <= kMaxKeptBytes) return;
  for (Buffer& buffer : buffers_) {
    buffer.now = MemoryBlock();
    buffer.next = MemoryBlock();
  }
  logits_ = {};
  tensors_.clear();
  bound_ = capacity_ = 0;
}

void CpuStep::bind(std::size_t rows) {
  const ort::Library& library = onnx_model().library();
  const auto count = static_cast<std::int64_t>(rows);
  const auto add = [&](auto memory, std::size_t size, std::vector<std::int64_t> shape, int type) {
    shape.insert(shape.begin(), count);
    tensors_.push_back(library.tensor(memory.first(rows * size), shape, type));
    return tensors_.back().get();
  };
  bound_ = 0;  // until all are there
  tensors_.clear();
  inputs_ = {add(std::span(tokens_), 1, {}, ort::kInt64),
             add(std::span(positions_), 1, {}, ort::kInt64)};
  const auto vocab = static_cast<std::size_t>(vocab_size());
  outputs_ = {add(std::span(logits_), vocab, {vocab_size()}, ort::kFloat)};
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& buffer = buffers_[i];
    const StateTensor& state = onnx_model().states()[i];
    inputs_.push_back(add(buffer.now.bytes(), buffer.row_bytes, state.shape, state.element_type));
    outputs_.push_back(buffer.in_place ? inputs_.back()
                                       : add(buffer.next.bytes(), buffer.row_bytes, state.shape,
                                             state.element_type));
  }
  bound_ = rows;
}

std::span<const float> CpuStep::run(std::span<const std::int64_t> tokens,
                                    std::span<const std::int64_t> positions) {
  require_fit(static_cast<std::int64_t>(rows_), tokens, positions);
  require_below("a token", tokens, vocab_size());
  require_below("a position", positions, block_size_);
  if (rows_ == 0) return {};
  if (bound_ != rows_) bind(rows_);
  std::ranges::copy(tokens, tokens_.begin());
  std::ranges::copy(positions, positions_.begin());
  onnx_model().run(inputs_, outputs_);
  swap();
  for (std::size_t row = 0; row < rows_; ++row) {
    steps_[row] = positions[row] + 1;
    if (saved_[row] && saved_[row]->steps >= steps_[row]) saved_[row] = {};
  }
  return std::span(logits_).first(rows_ * static_cast<std::size_t>(vocab_size()));
}

void CpuStep::swap() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].in_place) continue;
    std::swap(buffers_[i].now, buffers_[i].next);
    std::swap(inputs_[2 + i], outputs_[1 + i]);
  }
}

void CpuStep::select(std::span<const std::int64_t> parents) {
  require_parents(static_cast<std::int64_t>(rows_), parents);
  for (std::size_t row = 0; row < parents.size(); ++row) {
    const auto parent = static_cast<std::size_t>(parents[row]);
    if (parent != row && parent < parents.size() && parents[parent] != parents[row]) {
      throw OptionError("row " + std::to_string(parent) + " is both copied and replaced");
    }
  }
  reserve(parents.size());
  for (std::size_t row = 0; row < parents.size(); ++row) {
    const auto parent = static_cast<std::size_t>(parents[row]);
    if (parent == row) continue;
    for (Buffer& buffer : buffers_) buffer.copy_row(parent, row, steps_[parent]);
    steps_[row] = steps_[parent];
    saved_[row] = saved_[parent];
  }
  rows_ = parents.size();
}

// Of a cache only the slots written since the last snapshot are saved; other states are saved
// whole.
StateSnapshot CpuStep::save(std::int64_t row) {
  if (is_stateless()) return {};
  const auto at = static_cast<std::size_t>(row);
  StateSnapshot& saved = saved_[at];
  std::int64_t steps = saved ? saved->steps : 0;
  if (!in_place_ && steps < steps_[at]) steps = steps_[at] - 1;
  for (; steps < steps_[at]; ++steps) {
    auto [snapshot, target] = pool_->add(in_place_ ? std::move(saved) : StateSnapshot(), steps + 1);
    for (const Buffer& buffer : buffers_) {
      const std::size_t slot = buffer.in_place ? static_cast<std::size_t>(steps) : 0;
      const std::size_t bytes = buffer.step_bytes() / buffer.outer;
      const std::byte* source =
          buffer.now.data() + at * buffer.row_bytes + slot * buffer.slot_bytes;
      for (std::size_t i = 0; i < buffer.outer; ++i) {
        std::memcpy(target, source, bytes);
        source += buffer.slots * buffer.slot_bytes;
        target += bytes;
      }
    }
    saved = std::move(snapshot);
  }
  return saved;
}

void CpuStep::restore(std::span<const std::optional<StateSnapshot>> states) {
  reserve(states.size());
  for (std::size_t row = 0; row < states.size(); ++row) {
    if (!states[row]) continue;
    const StateSnapshot& state = *states[row];
    if (!state) {
      clear(row);
    } else if (row >= rows_ || saved_[row] != state || steps_[row] != state->steps) {
      put(row, state);
    }
  }
  rows_ = states.size();
}

void CpuStep::clear(std::size_t row) {
  steps_[row] = 0;
  saved_[row] = {};
  for (Buffer& buffer : buffers_) {
    std::memset(buffer.now.data() + row * buffer.row_bytes, 0, buffer.row_bytes);
  }
}

void CpuStep::put(std::size_t row, const StateSnapshot& state) {
  steps_[row] = state->steps;
  saved_[row] = state;
  std::size_t offset = 0;  // of the buffer within the data of a step
  for (Buffer& buffer : buffers_) {
    const std::size_t bytes = buffer.step_bytes() / buffer.outer;
    std::byte* target = buffer.now.data() + row * buffer.row_bytes;
    for (const SnapshotNode* step = state.get(); step != nullptr; step = step->before.get()) {
      const auto slot = buffer.in_place ? static_cast<std::size_t>(step->steps - 1) : 0;
      const std::byte* source = step->data + offset;
      for (std::size_t i = 0; i < buffer.outer; ++i) {
        std::memcpy(target + slot * buffer.slot_bytes + i * buffer.slots * buffer.slot_bytes,
                    source + i * bytes, bytes);
      }
      if (!buffer.in_place) break;
    }
    offset += buffer.step_bytes();
  }
}

}  // namespace makemore
