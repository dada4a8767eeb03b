#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "onnx_model.h"
#include "snapshot_step.h"

namespace makemore {

/// A step of an ONNX model on the CPU.
class OnnxStep : public SnapshotStep {
 public:
  std::int64_t vocab_size() const final { return model_->vocab_size(); }
  std::shared_ptr<const FirstStep> first_step() final { return model_->first_step(*this); }

 protected:
  explicit OnnxStep(std::shared_ptr<const OnnxModel> model) : model_(std::move(model)) {}

  const OnnxModel& onnx_model() const { return *model_; }

 private:
  std::shared_ptr<const OnnxModel> model_;
};

}  // namespace makemore
