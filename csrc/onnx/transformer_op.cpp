#include "transformer_op.h"

#include <string>
#include <utility>

#include "errors.h"
#include "onnx_model.h"
#include "paged_step.h"

namespace makemore::transformer {

TransformerOp::TransformerOp(std::shared_ptr<const ort::Library> library, const Kernel& kernel)
    : OrtCustomOp{}, library_(std::move(library)), kernel_(kernel) {
  using Op = const ort::OrtCustomOp*;
  version = 16;
  GetName = [](Op) { return "TransformerStep"; };
  GetExecutionProviderType = [](Op) -> const char* { return nullptr; };
  GetInputTypeCount = [](Op) { return kIntegers + 1; };
  GetInputType = [](Op, std::size_t index) -> int {
    return index < kIntegers ? ort::kInt64 : ort::kFloat;
  };
  GetInputCharacteristic = [](Op, std::size_t index) -> int {
    return index < kIntegers ? ort::kRequired : ort::kVariadic;
  };
  GetInputMemoryType = [](Op, std::size_t) -> int { return ort::kMemoryDefault; };
  GetOutputTypeCount = [](Op) -> std::size_t { return 1; };
  GetOutputType = [](Op, std::size_t) -> int { return ort::kFloat; };
  GetOutputCharacteristic = [](Op, std::size_t) -> int { return ort::kVariadic; };
  GetVariadicInputMinArity = GetVariadicOutputMinArity = [](Op) { return 1; };
  GetVariadicInputHomogeneity = GetVariadicOutputHomogeneity = [](Op) { return 1; };
  CreateKernelV2 = [](Op op, const void*, const ort::OrtKernelInfo* info, void** node) {
    return static_cast<const TransformerOp*>(op)->create(info, node);
  };
  KernelComputeV2 = TransformerNode::compute;
  KernelDestroy = [](void* node) { delete static_cast<TransformerNode*>(node); };

  ort::OrtCustomOpDomain* domain = nullptr;
  library_->check("making a domain", ort::CreateCustomOpDomain, "makemore", &domain);
  domain_ = library_->own(ort::ReleaseCustomOpDomain, domain);
  library_->check("adding an operator", ort::CustomOpDomain_Add, domain,
                  static_cast<const ort::OrtCustomOp*>(this));
}

void TransformerOp::add_to(ort::OrtSessionOptions* options) const {
  library_->check("adding a domain", ort::AddCustomOpDomain, options, domain_.get());
}

const TransformerStep* TransformerOp::whole_of(const OnnxModel& model) const {
  const TransformerNode* node = outcome_->node;
  const bool is_whole =
      node != nullptr && node->connects(model.input_names(), model.output_names());
  return is_whole ? &node->step() : nullptr;
}

void TransformerOp::check_block(std::optional<std::int64_t> block_size) const {
  if (outcome_->node == nullptr || !block_size) return;
  const auto found = static_cast<std::int64_t>(outcome_->node->step().model().block_size);
  if (block_size != found) {
    throw ArtifactError("block_size is " + std::to_string(*block_size) +
                        ", but the weights of the transformer know " + std::to_string(found) +
                        " positions");
  }
}

// The step writes as many logits a row as its weights have rows, into memory of the declared width.
void TransformerOp::check(const OnnxModel& model) const {
  const TransformerStep* step = whole_of(model);
  if (step == nullptr) return;
  const auto width = static_cast<std::int64_t>(step->model().vocab_size);
  if (width != model.vocab_size()) {
    throw ArtifactError("the logits are declared " + std::to_string(model.vocab_size()) +
                        " wide, but the weights of the transformer give " + std::to_string(width) +
                        " logits");
  }
}

std::unique_ptr<SnapshotStep> TransformerOp::new_step(
    std::shared_ptr<const OnnxModel> model) const {
  const TransformerStep* step = whole_of(*model);
  return step != nullptr ? std::make_unique<PagedStep>(std::move(model), *step) : nullptr;
}

ort::OrtStatus* TransformerOp::create(const ort::OrtKernelInfo* info, void** node) const noexcept {
  try {
    *node = std::make_unique<TransformerNode>(*library_, kernel_, info, *outcome_).release();
    return nullptr;
  } catch (const std::exception& error) {
    outcome_->declined = true;
    return library_->call(ort::CreateStatus, static_cast<int>(ort::kFail), error.what());
  }
}

}  // namespace makemore::transformer
