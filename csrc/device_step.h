#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "onnx_model.h"
#include "step.h"

namespace makemore {

/// The step of an ONNX model whose state stays on the model's device between steps: next states are
/// bound to the device and fed back as they are, rows are moved by a Gather there, and only tokens,
/// positions and logits cross over. On the CPU it does the same in ONNX Runtime's own memory.
class DeviceStep : public Step {
 public:
  explicit DeviceStep(std::shared_ptr<const OnnxModel> model);

  std::int64_t vocab_size() const override { return model_->vocab_size(); }
  void reset(std::int64_t rows) override;
  std::span<const float> run(std::span<const std::int64_t> tokens,
                             std::span<const std::int64_t> positions) override;
  void select(std::span<const std::int64_t> parents) override;

 private:
  using Value = ort::Owned<ort::OrtValue>;
  using Session = ort::Owned<ort::OrtSession>;
  using Binding = ort::Owned<ort::OrtIoBinding>;

  Binding new_binding(ort::OrtSession* session) const;
  void bind_input(const Binding& binding, const char* name, const ort::OrtValue* value) const;
  std::vector<Value> outputs_of(const Binding& binding) const;
  void run_bound(ort::OrtSession* session, const Binding& binding) const;

  std::shared_ptr<const OnnxModel> model_;
  ort::Owned<ort::OrtMemoryInfo> memory_;
  Session gather_float_, gather_int64_;
  std::vector<std::vector<std::byte>> zeros_;  // what a fresh state is read from
  std::vector<Value> states_;                  // on the device
  std::int64_t rows_ = 0;
  std::vector<std::int64_t> tokens_, positions_;
  std::vector<float> logits_;
};

}  // namespace makemore
