#include "transformer_op.h"

#include <algorithm>
#include <array>
#include <optional>

#include "bounds.h"
#include "onnx_model.h"
#include "paged_step.h"

namespace makemore::transformer {
namespace {

// Inputs are a token and a position, the states, then the parameters; outputs are the logits, then
// the next states.
constexpr std::size_t kIntegers = 2;

std::vector<std::int64_t> shape_of(const ort::Library& library, const ort::OrtKernelInfo* info,
                                   std::size_t input) {
  ort::OrtTypeInfo* type = nullptr;
  library.check("reading a type", ort::KernelInfo_GetInputTypeInfo, info, input, &type);
  return library.type_of(*library.own(ort::ReleaseTypeInfo, type)).shape;
}

std::size_t size_of(const ort::Library& library, const ort::OrtValue* value) {
  ort::OrtTensorTypeAndShapeInfo* info = nullptr;
  library.check("reading a shape", ort::GetTensorTypeAndShape, value, &info);
  const auto owned = library.own(ort::ReleaseTensorTypeAndShapeInfo, info);
  std::size_t size = 0;
  library.check("reading a shape", ort::GetTensorShapeElementCount, info, &size);
  return size;
}

template <class T>
T* data_of(const ort::Library& library, const ort::OrtValue* value) {
  void* data = nullptr;
  library.check("reading a tensor", ort::GetTensorMutableData, value, &data);
  return static_cast<T*>(data);
}

/// The parameters of a node, from input `first` on, as far as they are constants of one or two
/// axes.
std::vector<Parameter> parameters_of(const ort::Library& library, const ort::OrtKernelInfo* info,
                                     std::size_t first, std::size_t count) {
  std::vector<Parameter> parameters;
  for (std::size_t input = first; input < count; ++input) {
    int is_constant = 0;
    const ort::OrtValue* value = nullptr;
    library.check("reading a weight", ort::KernelInfoGetConstantInput_tensor, info, input,
                  &is_constant, &value);
    auto shape = shape_of(library, info, input);
    if (shape.size() == 1) shape.push_back(1);
    if (!is_constant || shape.size() != 2) break;
    const auto rows = static_cast<std::size_t>(shape[0]),
               columns = static_cast<std::size_t>(shape[1]);
    if (checked_product({rows, columns}) != size_of(library, value)) break;
    parameters.push_back({data_of<float>(library, value), rows, columns});
  }
  return parameters;
}

template <class NameSlot>
std::vector<std::string> names_of(const ort::Library& library, const ort::OrtKernelInfo* info,
                                  NameSlot slot, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t size = 0;  // its terminator included
    library.check("measuring a name", slot, info, i, static_cast<char*>(nullptr), &size);
    names.emplace_back(size, '\0');
    library.check("reading a name", slot, info, i, names.back().data(), &size);
    names.back().pop_back();
  }
  return names;
}

}  // namespace

/// A node of a session that runs the kernel.
class TransformerOp::Node {
 public:
  Node(const ort::Library& library, const Kernel& kernel, const ort::OrtKernelInfo* info,
       Outcome& outcome);
  ~Node() {
    if (outcome_.node == this) outcome_.node = nullptr;
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

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
  Outcome& outcome_;
  std::optional<TransformerStep> step_;
  std::vector<std::string> inputs_, outputs_;  // without the parameters
};

TransformerOp::Node::Node(const ort::Library& library, const Kernel& kernel,
                          const ort::OrtKernelInfo* info, Outcome& outcome)
    : library_(library), outcome_(outcome) {
  std::size_t inputs = 0, outputs = 0;
  library.check("counting inputs", ort::KernelInfo_GetInputCount, info, &inputs);
  library.check("counting outputs", ort::KernelInfo_GetOutputCount, info, &outputs);
  std::int64_t heads = 0;
  float epsilon = 0;
  library.check("reading n_head", ort::KernelInfoGetAttribute_int64, info, "n_head", &heads);
  library.check("reading epsilon", ort::KernelInfoGetAttribute_float, info, "epsilon", &epsilon);
  const std::size_t states = outputs - 1;
  step_.emplace(kernel, parameters_of(library, info, kIntegers + states, inputs), heads, epsilon);
  const Model& model = step_->model();
  const std::vector<std::int64_t> cache{-1, static_cast<std::int64_t>(model.block_size),
                                        static_cast<std::int64_t>(model.width)};
  bool are_caches = states == 2 * model.layer_count;
  for (std::size_t i = 0; are_caches && i < states; ++i) {
    are_caches = shape_of(library, info, kIntegers + i) == cache;
  }
  if (!are_caches) throw ArtifactError("the states are not the caches of a GPT-2");
  inputs_ = names_of(library, info, ort::KernelInfo_GetInputName, kIntegers + states);
  outputs_ = names_of(library, info, ort::KernelInfo_GetOutputName, outputs);
  outcome_.node = this;
}

ort::OrtStatus* TransformerOp::Node::compute(void* node, ort::OrtKernelContext* context) noexcept {
  const auto* self = static_cast<const Node*>(node);
  try {
    self->compute(context);
    return nullptr;
  } catch (const std::exception& error) {
    return self->library_.call(ort::CreateStatus, static_cast<int>(ort::kFail), error.what());
  }
}

void TransformerOp::Node::compute(ort::OrtKernelContext* context) const {
  const auto tokens = integers(context, 0), positions = integers(context, 1);
  if (tokens.size() != positions.size()) {
    throw OptionError(std::to_string(tokens.size()) + " tokens have " +
                      std::to_string(positions.size()) + " positions");
  }
  const Model& model = step_->model();
  const auto rows = static_cast<std::int64_t>(tokens.size());
  step_->require_known(tokens, positions);
  const std::array cache{rows, static_cast<std::int64_t>(model.block_size),
                         static_cast<std::int64_t>(model.width)};
  const std::size_t slots = tokens.size() * model.block_size, width = model.width;
  std::vector<float*> caches;
  for (std::size_t i = 0; i < 2 * model.layer_count; ++i) {
    const ort::OrtValue* state = input(context, kIntegers + i);
    const auto* from = data_of<const float>(library_, state);
    caches.push_back(output(context, 1 + i, cache));
    if (from == caches.back()) continue;  // bound on each other: written in place
    if (size_of(library_, state) != slots * width) throw OptionError("a state is of another batch");
    std::copy_n(from, slots * width, caches.back());
  }
  // A slot of all caches is a page.
  std::vector<float> memory(slots * step_->page_floats());
  std::vector<const float*> pages;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    float* page = memory.data() + slot * step_->page_floats();
    for (std::size_t i = 0; i < caches.size(); ++i) {
      std::copy_n(caches[i] + slot * width, width, page + i * width);
    }
    pages.push_back(page);
  }
  std::vector<float*> written;
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    const std::size_t slot = row * model.block_size + static_cast<std::size_t>(positions[row]);
    written.push_back(memory.data() + slot * step_->page_floats());
  }
  const std::array logits{rows, static_cast<std::int64_t>(model.vocab_size)};
  step_->run(tokens, positions, pages.data(), written.data(), output(context, 0, logits));
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    const std::size_t slot = row * model.block_size + static_cast<std::size_t>(positions[row]);
    for (std::size_t i = 0; i < caches.size(); ++i) {
      std::copy_n(pages[slot] + i * width, width, caches[i] + slot * width);
    }
  }
}

const ort::OrtValue* TransformerOp::Node::input(ort::OrtKernelContext* context,
                                                std::size_t index) const {
  const ort::OrtValue* value = nullptr;
  library_.check("reading an input", ort::KernelContext_GetInput, context, index, &value);
  return value;
}

std::span<const std::int64_t> TransformerOp::Node::integers(ort::OrtKernelContext* context,
                                                            std::size_t index) const {
  const ort::OrtValue* value = input(context, index);
  return {data_of<const std::int64_t>(library_, value), size_of(library_, value)};
}

float* TransformerOp::Node::output(ort::OrtKernelContext* context, std::size_t index,
                                   std::span<const std::int64_t> shape) const {
  ort::OrtValue* value = nullptr;
  library_.check("making an output", ort::KernelContext_GetOutput, context, index, shape.data(),
                 shape.size(), &value);
  return data_of<float>(library_, value);
}

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
  KernelComputeV2 = Node::compute;
  KernelDestroy = [](void* node) { delete static_cast<Node*>(node); };

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
  const Node* node = outcome_->node;
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
    *node = std::make_unique<Node>(*library_, kernel_, info, *outcome_).release();
    return nullptr;
  } catch (const std::exception& error) {
    outcome_->declined = true;
    return library_->call(ort::CreateStatus, static_cast<int>(ort::kFail), error.what());
  }
}

}  // namespace makemore::transformer
