#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ort_library.h"
#include "transformer_step.h"

namespace makemore::transformer {

class TransformerNode;

/// Set while a session opens.
struct NodeOutcome {
  const TransformerNode* node = nullptr;  // the last that was made
  bool declined = false;
};

/// Inputs are a token and a position, the states, then the parameters; outputs are the logits, then
/// the next states.
inline constexpr std::size_t kIntegers = 2;

/// A node of a session that runs the kernel.
class TransformerNode {
 public:
  TransformerNode(const ort::Library& library, const Kernel& kernel, const ort::OrtKernelInfo* info,
                  NodeOutcome& outcome);
  ~TransformerNode() {
    if (outcome_.node == this) outcome_.node = nullptr;
  }
  TransformerNode(const TransformerNode&) = delete;
  TransformerNode& operator=(const TransformerNode&) = delete;

  const TransformerStep& step() const { return *step_; }
  bool connects(const std::vector<const char*>& inputs,
                const std::vector<const char*>& outputs) const {
    return std::ranges::equal(inputs, inputs_) && std::ranges::equal(outputs, outputs_);
  }

  static ort::OrtStatus* compute(void* node, ort::OrtKernelContext* context) noexcept;

 private:
  void compute(ort::OrtKernelContext* context) const;
  const ort::OrtValue* input(ort::OrtKernelContext* context, std::size_t index) const;
  std::span<const std::int64_t> integers(ort::OrtKernelContext* context, std::size_t index) const;
  float* output(ort::OrtKernelContext* context, std::size_t index,
                std::span<const std::int64_t> shape) const;

  const ort::Library& library_;
  NodeOutcome& outcome_;
  std::optional<TransformerStep> step_;
  std::vector<std::string> inputs_, outputs_;  // without the parameters
};

}  // namespace makemore::transformer
