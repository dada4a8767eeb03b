#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device_model.h"
#include "step.h"

namespace makemore {

/// The step of an ONNX model whose state stays on the model's device between steps: next states are
/// bound to the device and fed back as they are, and rows are moved by a Gather there. Only tokens,
/// positions and logits are copied between host and device.
class DeviceStep : public Step {
 public:
  explicit DeviceStep(std::shared_ptr<const DeviceModel> device) : device_(std::move(device)) {}

  std::int64_t vocab_size() const override { return device_->model().vocab_size(); }
  void reset(std::int64_t rows) override;
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override;
  void select(std::span<const std::int64_t> parents) override;

 private:
  std::shared_ptr<const DeviceModel> device_;
  std::vector<DeviceModel::Value> states_;  // on the device
  std::int64_t rows_ = 0;
  std::vector<std::int64_t> tokens_, positions_;
  std::vector<float> logits_;
};

}  // namespace makemore
