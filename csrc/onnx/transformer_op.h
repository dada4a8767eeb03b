#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ort_library.h"
#include "transformer_step.h"

namespace makemore::transformer {

/// An operator for one session: where its model calls the function TransformerStep of the domain
/// makemore, ONNX Runtime runs `kernel` in place of the function's body. Must outlive the session.
class TransformerOp : private ort::OrtCustomOp {
 public:
  TransformerOp(std::shared_ptr<const ort::Library> library, const Kernel& kernel);
  TransformerOp(const TransformerOp&) = delete;
  TransformerOp& operator=(const TransformerOp&) = delete;

  void add_to(ort::OrtSessionOptions* options) const;

  /// Whether a session could not be opened because the function's inputs are none of a GPT-2.
  bool declined() const { return declined_; }

  /// Whether the session runs the kernel.
  bool runs_kernel() const { return node_ != nullptr; }
  const Kernel& kernel() const { return kernel_; }

  /// The step, where it is all that lies between these inputs and outputs of the session, so that
  /// it can be run without the session; null where it is not.
  const TransformerStep* step(const std::vector<std::string>& inputs,
                              const std::vector<std::string>& outputs) const;

 private:
  class Node;

  ort::OrtStatus* create(const ort::OrtKernelInfo* info, void** node) const noexcept;

  std::shared_ptr<const ort::Library> library_;
  const Kernel& kernel_;
  ort::Owned<ort::OrtCustomOpDomain> domain_{nullptr, nullptr};
  mutable const Node* node_ = nullptr;  // set through the pointer to const that ONNX Runtime holds
  mutable bool declined_ = false;
};

}  // namespace makemore::transformer
