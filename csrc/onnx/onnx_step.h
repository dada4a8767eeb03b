#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "onnx_model.h"
#include "step.h"

namespace makemore {

/// A step of an ONNX model on the CPU: its states can be saved.
class OnnxStep : public Step {
 public:
  std::int64_t vocab_size() const final { return model_->vocab_size(); }
  bool can_save() const final { return true; }
  std::shared_ptr<const Start> start() final { return model_->start(*this); }

 protected:
  explicit OnnxStep(std::shared_ptr<const OnnxModel> model) : model_(std::move(model)) {}

  const OnnxModel& onnx_model() const { return *model_; }

 private:
  std::shared_ptr<const OnnxModel> model_;
};

}  // namespace makemore
