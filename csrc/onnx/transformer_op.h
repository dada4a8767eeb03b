#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fused_op.h"
#include "ort_library.h"
#include "transformer_node.h"
#include "transformer_step.h"

namespace makemore::transformer {

/// The operator for the function TransformerStep of the domain makemore: `kernel` in place of its
/// body. It declines where the inputs of the function are not those of a GPT-2.
class TransformerOp : public FusedOp, private ort::OrtCustomOp {
 public:
  TransformerOp(std::shared_ptr<const ort::Library> library, const Kernel& kernel);

  void add_to(ort::OrtSessionOptions* options) const override;
  bool declined() const override { return outcome_->declined; }
  std::string kernel() const override { return outcome_->node != nullptr ? kernel_.name : ""; }
  void check(const OnnxModel& model) const override;
  void check_block(std::optional<std::int64_t> block_size) const override;
  std::unique_ptr<SnapshotStep> new_step(std::shared_ptr<const OnnxModel> model) const override;

  /// The step, where it is all that lies between the inputs and the outputs of the model; else
  /// null.
  const TransformerStep* whole_of(const OnnxModel& model) const;

 private:
  ort::OrtStatus* create(const ort::OrtKernelInfo* info, void** node) const noexcept;

  std::shared_ptr<const ort::Library> library_;
  const Kernel& kernel_;
  ort::Owned<ort::OrtCustomOpDomain> domain_{nullptr, nullptr};
  // Through the pointer to const that ONNX Runtime holds.
  std::unique_ptr<NodeOutcome> outcome_ = std::make_unique<NodeOutcome>();
};

}  // namespace makemore::transformer
