#include "native_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "errors.h"
#include "native_parameter.h"
#include "node_view.h"
#include "onnx_model.h"
#include "protobuf_reader.h"
#include "tensor_check.h"
#include "transformer_component.h"

namespace makemore {
namespace {

using kernels::Parameter;
using kernels::StateLayout;
using ort::Field;
using ort::MessageReader;

constexpr std::size_t kAlignment = 64;

/// The error of a model that ONNX Runtime is not left to run.
struct TooLarge : ArtifactError {
  using ArtifactError::ArtifactError;
};

constexpr std::string_view kDomain = "makemore", kMixture = "Mixture";

/// The nodes and the initializers of the graph of a file. Nodes that make floats of int8 are apart,
/// by the names of what they make.
struct GraphView {
  std::vector<NodeView> nodes;
  std::map<std::string_view, std::string_view> tensors;
  std::map<std::string_view, NodeView> dequantized;
};

GraphView read_graph(std::string_view file) {
  enum { kGraph = 7, kNode = 1, kInitializer = 5, kTensorName = 8 };
  GraphView graph;
  Field field;
  for (MessageReader reader(ort::last_bytes(file, kGraph)); reader.next(field);) {
    if (field.number == kNode) {
      NodeView node = read_node(field.as_bytes());
      if (is_rows_of_int8(node)) {
        graph.dequantized.emplace(node.outputs[0], std::move(node));
      } else {
        graph.nodes.push_back(std::move(node));
      }
    }
    if (field.number != kInitializer) continue;
    const auto name = ort::last_bytes(field.as_bytes(), kTensorName);
    if (!graph.tensors.emplace(name, field.bytes).second) {
      throw ArtifactError("two initializers have one name");
    }
  }
  return graph;
}

/// The attributes that a transformer has; without an activation its GELU is the tanh form.
transformer::Attributes attributes_of(const NodeView& node) {
  enum { kFloat = 2, kInt = 3, kText = 4 };
  transformer::Attributes attributes;
  for (const auto& [name, bytes] : node.attributes) {
    Field field;
    for (MessageReader reader(bytes); reader.next(field);) {
      if (name == "n_head" && field.number == kInt) attributes.heads = field.as_number();
      if (name == "activation" && field.number == kText) {
        attributes.activation = transformer::activation_named(field.as_bytes());
      }
      if (name != "epsilon" || field.number != kFloat || field.wire != ort::Wire::kFixed32)
        continue;
      std::memcpy(&attributes.epsilon, field.bytes.data(), sizeof(float));
    }
  }
  return attributes;
}

/// The name of a function without the number that tells it from others of its kind.
std::string_view kind_of(std::string_view function) {
  const std::size_t end = function.find_last_not_of("0123456789");
  const bool is_numbered =
      end != std::string_view::npos && end + 1 < function.size() && function[end] == '_';
  return is_numbered ? function.substr(0, end) : function;
}

}  // namespace

/// Follows the names of values from the inputs of the model to its outputs.
class NativeModel::Reader {
 public:
  Reader(std::string_view file, const OnnxModel& model) : graph_(read_graph(file)), model_(model) {}

  /// Throws ArtifactError, or returns false, where the file is no such model.
  bool read(NativeModel& native) {
    const std::size_t count = graph_.nodes.size();
    const bool is_mixture = count > 2 && graph_.nodes.back().op == kMixture;
    if (count == 0 || (count > 1 && !is_mixture)) return false;
    const bool all_ours = std::ranges::all_of(
        graph_.nodes, [](const NodeView& node) { return node.domain == kDomain; });
    if (!all_ours) return false;
    for (std::size_t i = 0; i < (is_mixture ? count - 1 : 1); ++i) {
      if (!add_part(graph_.nodes[i], native)) return false;
    }
    if (states_ != model_.states().size()) return false;
    if (is_mixture) return read_mixture(graph_.nodes.back(), native);
    return logits_.front() == model_.output_names()[0];
  }

 private:
  std::string_view tensor(std::string_view name) const {
    const auto found = graph_.tensors.find(name);
    if (found == graph_.tensors.end()) throw ArtifactError("a parameter is no constant");
    return found->second;
  }

  Parameter parameter(std::string_view name, std::size_t padding) {
    const auto rows = graph_.dequantized.find(name);
    const bool is_int8 = rows != graph_.dequantized.end();
    const std::string_view numbers = tensor(is_int8 ? rows->second.inputs[0] : name);
    count(kernels::kept_bytes(tensor_shape(numbers), padding));
    return is_int8 ? read_rows(numbers, tensor(rows->second.inputs[1])) : read_parameter(numbers);
  }

  /// Adds what a component is about to keep.
  void count(std::optional<std::size_t> bytes) {
    const std::size_t limit = model_.max_bytes();
    if (!bytes || *bytes > limit - kept_) {
      throw TooLarge(
          "its weights up to part " + std::to_string(logits_.size() + 1) + " take " +
          (bytes ? std::to_string(kept_ + *bytes) : "countless") +
          " bytes in the form of a kernel, more than max_bytes = " + std::to_string(limit));
    }
    kept_ += *bytes;
  }

  /// Each thread has memory to work in, for the rows that a kernel takes at a time.
  void require_scratch(const kernels::Component& component) const {
    const std::size_t floats = component.scratch_floats(kernels::kChunkRows);
    if (floats <= model_.max_bytes() / sizeof(float)) return;
    throw TooLarge("a step works in " + std::to_string(floats * sizeof(float)) +
                   " bytes, more than max_bytes = " + std::to_string(model_.max_bytes()));
  }

  /// A part's inputs are the token, the position, the next states of the model, and parameters.
  bool add_part(const NodeView& node, NativeModel& native) {
    const std::size_t states = node.outputs.empty() ? 0 : node.outputs.size() - 1;
    const auto &inputs = model_.input_names(), &outputs = model_.output_names();
    bool connects = !node.outputs.empty() && node.inputs.size() >= 2 + states &&
                    states <= model_.states().size() - states_ && node.inputs[0] == inputs[0] &&
                    node.inputs[1] == inputs[1];
    std::vector<StateLayout> layouts;
    for (std::size_t i = 0; connects && i < states; ++i, ++states_) {
      connects =
          node.inputs[2 + i] == inputs[2 + states_] && node.outputs[1 + i] == outputs[1 + states_];
      const StateTensor& state = model_.states()[states_];
      layouts.push_back(
          {state.element_type == ort::kInt64, {state.shape.begin(), state.shape.end()}});
    }
    if (!connects) return false;
    const std::size_t padding = kernels::most_padding(kind_of(node.op), native.kernel_.packing);
    std::vector<Parameter> parameters;
    for (std::size_t i = 2 + states; i < node.inputs.size(); ++i) {
      parameters.push_back(parameter(node.inputs[i], padding));
    }
    auto component =
        kind_of(node.op) == transformer::kFunction
            ? transformer::new_component(native.kernel_.name, layouts, parameters,
                                         attributes_of(node))
            : kernels::new_component(native.kernel_, kind_of(node.op), layouts, parameters);
    if (!component) return false;
    require_scratch(*component);
    const std::size_t width = component->vocab_size();
    if (!native.parts_.empty() && width != native.vocab_size()) return false;
    native.parts_.push_back({std::move(component), native.state_bytes_});
    const std::size_t bytes = native.parts_.back().component->step_bytes();
    native.state_bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    logits_.push_back(node.outputs[0]);
    return true;
  }

  /// Its inputs are the logits of the parts, and their weights.
  bool read_mixture(const NodeView& node, NativeModel& native) {
    const std::size_t parts = native.parts_.size();
    const bool connects = node.inputs.size() == parts + 1 && node.outputs.size() == 1 &&
                          node.outputs[0] == model_.output_names()[0] &&
                          std::equal(logits_.begin(), logits_.end(), node.inputs.begin());
    if (!connects) return false;
    const std::vector<Parameter> weights(1, parameter(node.inputs.back(), 0));
    const auto values = kernels::Parameters(weights).floats({parts});
    native.mixture_weights_.assign(values.begin(), values.end());
    return true;
  }

  GraphView graph_;
  const OnnxModel& model_;
  std::size_t kept_ = 0;                  // bytes of the components
  std::size_t states_ = 0;                // of the model that parts have taken
  std::vector<std::string_view> logits_;  // of the parts
};

std::unique_ptr<const NativeModel> NativeModel::read(const kernels::Kernel& kernel,
                                                     std::string_view file,
                                                     const OnnxModel& model) {
  std::unique_ptr<NativeModel> native(new NativeModel(kernel));
  try {
    if (!Reader(file, model).read(*native)) return nullptr;
  } catch (const TooLarge&) {
    throw;
  } catch (const ArtifactError&) {  // the nodes of the file may still run
    return nullptr;
  }
  const auto width = static_cast<std::int64_t>(native->vocab_size());
  if (width != model.vocab_size()) {
    throw ArtifactError("the logits are declared " + std::to_string(model.vocab_size()) +
                        " wide, but the weights give " + std::to_string(width) + " logits");
  }
  return native;
}

bool NativeModel::reads_pages() const {
  return std::ranges::any_of(parts_,
                             [](const Part& part) { return part.component->reads_pages(); });
}

std::size_t NativeModel::multiply_adds() const {
  std::size_t sum = 0;
  for (const Part& part : parts_) sum += part.component->multiply_adds();
  return sum;
}

std::int64_t NativeModel::block_size() const {
  std::int64_t size = parts_.front().component->block_size();
  for (const Part& part : parts_) size = std::min(size, part.component->block_size());
  return size;
}

}  // namespace makemore
