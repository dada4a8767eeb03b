#include "transformer_node.h"

#include <array>
#include <exception>

#include "bounds.h"
#include "errors.h"

namespace makemore::transformer {
namespace {

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

/// The parameters of a node, from input `first` on; throws ArtifactError unless all are constants
/// of one or two axes.
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
    const auto refuse = [&] {
      throw ArtifactError("input " + std::to_string(input) + " is no constant of one or two axes");
    };
    if (!is_constant || shape.size() != 2) refuse();
    const auto rows = static_cast<std::size_t>(shape[0]),
               columns = static_cast<std::size_t>(shape[1]);
    if (checked_product({rows, columns}) != size_of(library, value)) refuse();
    parameters.push_back({data_of<float>(library, value), rows, columns});
  }
  return parameters;
}

/// Functions that other versions wrote have no attribute of that name: their GELU is the tanh form.
Activation activation_of(const ort::Library& library, const ort::OrtKernelInfo* info) {
  std::size_t size = 0;  // its terminator included
  ort::OrtStatus* missing = library.call(ort::KernelInfoGetAttribute_string, info, "activation",
                                         static_cast<char*>(nullptr), &size);
  if (missing != nullptr) {
    library.call(ort::ReleaseStatus, missing);
    return Activation::kGeluTanh;
  }
  std::string name(size, '\0');
  library.check("reading activation", ort::KernelInfoGetAttribute_string, info, "activation",
                name.data(), &size);
  return activation_named(name.c_str());
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

TransformerNode::TransformerNode(const ort::Library& library, const Kernel& kernel,
                                 const ort::OrtKernelInfo* info, NodeOutcome& outcome)
    : library_(library), outcome_(outcome) {
  std::size_t inputs = 0, outputs = 0;
  library.check("counting inputs", ort::KernelInfo_GetInputCount, info, &inputs);
  library.check("counting outputs", ort::KernelInfo_GetOutputCount, info, &outputs);
  std::int64_t heads = 0;
  float epsilon = 0;
  library.check("reading n_head", ort::KernelInfoGetAttribute_int64, info, "n_head", &heads);
  library.check("reading epsilon", ort::KernelInfoGetAttribute_float, info, "epsilon", &epsilon);
  const std::size_t states = outputs - 1;
  step_.emplace(kernel, parameters_of(library, info, kIntegers + states, inputs), heads, epsilon,
                activation_of(library, info));
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

ort::OrtStatus* TransformerNode::compute(void* node, ort::OrtKernelContext* context) noexcept {
  const auto* self = static_cast<const TransformerNode*>(node);
  try {
    self->compute(context);
    return nullptr;
  } catch (const std::exception& error) {
    return self->library_.call(ort::CreateStatus, static_cast<int>(ort::kFail), error.what());
  }
}

void TransformerNode::compute(ort::OrtKernelContext* context) const {
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
    if (from == caches.back()) continue;  // input and output are the same memory
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

const ort::OrtValue* TransformerNode::input(ort::OrtKernelContext* context,
                                            std::size_t index) const {
  const ort::OrtValue* value = nullptr;
  library_.check("reading an input", ort::KernelContext_GetInput, context, index, &value);
  return value;
}

std::span<const std::int64_t> TransformerNode::integers(ort::OrtKernelContext* context,
                                                        std::size_t index) const {
  const ort::OrtValue* value = input(context, index);
  return {data_of<const std::int64_t>(library_, value), size_of(library_, value)};
}

float* TransformerNode::output(ort::OrtKernelContext* context, std::size_t index,
                               std::span<const std::int64_t> shape) const {
  ort::OrtValue* value = nullptr;
  library_.check("making an output", ort::KernelContext_GetOutput, context, index, shape.data(),
                 shape.size(), &value);
  return data_of<float>(library_, value);
}

}  // namespace makemore::transformer
