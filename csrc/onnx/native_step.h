#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "aligned_buffer.h"
#include "native_model.h"
#include "onnx_step.h"

namespace makemore {

/// The step of a model that kernels run, without ONNX Runtime. Each step writes a row's state to a
/// snapshot of its own, so that saving and restoring one copies nothing.
class NativeStep : public OnnxStep {
 public:
  /// `model` owns `native`. `block_size`: positions that may be asked for.
  NativeStep(std::shared_ptr<const OnnxModel> model, const NativeModel& native,
             std::optional<std::int64_t> block_size);

  void reset(std::int64_t rows) override;
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override;
  void select(std::span<const std::int64_t> parents) override;
  std::size_t snapshot_bytes() const override;
  std::optional<std::size_t> multiply_adds() const override { return native_.multiply_adds(); }
  StateSnapshot save(std::int64_t row) override { return states_[static_cast<std::size_t>(row)]; }
  void restore(std::span<const std::optional<StateSnapshot>> states) override;

 private:
  void advance_states(std::span<const std::int64_t> positions);
  void require_steps(std::size_t row, std::int64_t position) const;
  void go_back(std::size_t row, std::int64_t position);
  void drop_previous();
  void put(std::size_t row, const StateSnapshot& state);
  std::size_t pages_per_row() const;
  std::size_t scratch_floats(std::size_t rows) const;

  const NativeModel& native_;
  const bool reads_pages_;  // then a snapshot keeps those of the steps before
  std::int64_t block_size_;
  std::shared_ptr<SnapshotPool> pool_;
  AlignedBuffer zeros_;                   // the state before the first step
  std::vector<StateSnapshot> states_;     // (rows,)
  std::vector<StateSnapshot> previous_;   // those that are no longer needed
  std::vector<const std::byte*> before_;  // (rows,)
  std::vector<std::byte*> after_;         // (rows,)
  std::vector<const std::byte*> pages_;   // (rows, T) of a row's steps, where they are read
  AlignedBuffer scratch_;
  std::vector<float> part_logits_, logits_;  // (K, rows, V), (rows, V)
};

}  // namespace makemore
