#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "onnx_step.h"
#include "time_axes.h"

namespace makemore {

/// The step of an ONNX model in ONNX Runtime on the CPU, its state in our own memory.
///
/// A state is double-buffered, unless it has a time axis: such a cache is only added to (the step
/// at position p writes slot p and leaves the others), so the next state overwrites the one before,
/// and copying a row copies only the slots in use.
class CpuStep : public OnnxStep {
 public:
  /// `time_axes`: for each state the axis of a row's shape that is time, or nothing. `block_size`:
  /// positions that the model knows. Throws as `require_time_axes` does.
  CpuStep(std::shared_ptr<const OnnxModel> model,
          std::span<const std::optional<std::int64_t>> time_axes,
          std::optional<std::int64_t> block_size = std::nullopt);

  void reset(std::int64_t rows) override;
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override;
  void select(std::span<const std::int64_t> parents) override;
  std::size_t snapshot_bytes() const override { return buffers_.empty() ? 0 : pool_->node_bytes(); }
  StateSnapshot save(std::int64_t row) override;
  void restore(std::span<const std::optional<StateSnapshot>> states) override;

 private:
  /// Memory of one state: rows x (outer, slots, inner) bytes, slots being the time axis.
  struct Buffer {
    std::size_t row_bytes, outer, slots, slot_bytes;
    bool in_place;
    MemoryBlock now, next;  // next stays empty where the state is written in place

    std::size_t step_bytes() const { return in_place ? outer * slot_bytes : row_bytes; }
    void copy_row(std::size_t from, std::size_t to, std::int64_t steps);
  };

  void reserve(std::size_t rows);
  void free_buffers();
  void clear(std::size_t row);
  void put(std::size_t row, const StateSnapshot& state);
  void bind(std::size_t rows);
  void swap();

  std::vector<Buffer> buffers_;
  std::int64_t block_size_;  // positions that may be asked for
  bool in_place_ = false;    // whether any buffer is
  std::shared_ptr<SnapshotPool> pool_;
  std::size_t rows_ = 0;
  std::size_t capacity_ = 0;
  std::size_t bound_ = 0;  // rows that the tensors below are made for; 0: none
  std::vector<std::int64_t> tokens_, positions_;  // (capacity,)
  std::vector<std::int64_t> steps_;               // (capacity,) that each row has taken
  std::vector<StateSnapshot> saved_;  // (capacity,) the last snapshot of each row, or null
  std::vector<float> logits_;         // (capacity, V)
  std::vector<ort::Owned<ort::OrtValue>> tensors_;
  std::vector<ort::OrtValue*> inputs_, outputs_;
};

}  // namespace makemore
