#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "errors.h"
#include "onnx_model.h"
#include "snapshot_step.h"

namespace makemore {

/// A step of an ONNX model on the CPU.
class OnnxStep : public SnapshotStep {
 public:
  std::int64_t vocab_size() const final { return model_->vocab_size(); }
  std::size_t max_rows() const final { return model_->max_rows(); }
  std::shared_ptr<CommonPrefixes> common_prefixes() final { return model_->common_prefixes(*this); }

 protected:
  explicit OnnxStep(std::shared_ptr<const OnnxModel> model) : model_(std::move(model)) {}

  const OnnxModel& onnx_model() const { return *model_; }

  /// Throws OptionError for more rows than the model may have.
  void require_memory(std::size_t rows) const {
    if (rows <= model_->max_rows()) return;
    throw OptionError(std::to_string(rows) +
                      " rows take more than max_bytes = " + std::to_string(model_->max_bytes()) +
                      "; up to " + std::to_string(model_->max_rows()) + " do not");
  }

 private:
  std::shared_ptr<const OnnxModel> model_;
};

}  // namespace makemore
