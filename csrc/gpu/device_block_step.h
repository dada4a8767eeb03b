#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "device_decoder.h"
#include "device_model.h"
#include "io_binding.h"

namespace makemore {

/// Throws OutOfMemory for more slots than CUDA's kernels, which index with 32 bits, have numbers
/// for in one of the states.
void require_indexable(std::int64_t slots, std::span<const StateTensor> states);

/// A block of steps over memory of the device. The states, and what one step hands to the next,
/// stay there in buffers that are made once. A state is read from one buffer and written to
/// another, a cache is written in place. Coins are copied from the host at each step, the rest at
/// each block.
class DeviceBlockStep : public BlockStep {
 public:
  DeviceBlockStep(std::shared_ptr<const DeviceModel> device, const SamplingOptions& options,
                  const ExcludedTokens* excluded = nullptr);

  std::int64_t vocab_size() const override { return device_->model().vocab_size(); }
  std::int64_t steps_per_block() const override { return kStepsPerBlock; }
  void open(Slots& slots) override;
  void run() override;
  void clear(std::span<const std::size_t> slots) override;

 private:
  using Value = DeviceModel::Value;

  /// What one step hands to the next.
  struct StepBuffers {
    Value token, position, remaining, generated, log_prob;
    std::vector<Value> states;  // null for a cache, which has only one buffer
  };

  StepBuffers new_buffers(std::int64_t count, bool with_caches) const;
  void bind_host(Slots& slots);
  void bind_step(std::size_t column);
  void bind_inputs(ort::Binding& step, const StepBuffers& from) const;
  void release();

  std::shared_ptr<const DeviceModel> device_;
  ort::OrtSession* session_;

  std::int64_t top_k_;
  double temperature_, top_p_, min_p_;
  std::vector<std::uint8_t> allowed_;
  std::vector<std::int64_t> step_numbers_;
  std::vector<std::pair<const char*, Value>> options_;  // on the host; bindings refer to them

  std::int64_t count_ = 0;            // of slots
  std::vector<StepBuffers> buffers_;  // two, which steps read and write in turn
  std::optional<StepBuffers> host_;   // over Slots
  std::vector<Value> coins_, slot_;   // of each step of a block, on the host
  std::vector<ort::Binding> steps_;   // of a block
};

}  // namespace makemore
