#include "node_check.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protobuf_reader.h"
#include "tensor_check.h"
#include "text.h"

namespace makemore {
namespace {

using ort::Field;
using ort::MessageReader;

constexpr std::size_t kMaxValues = 200'000;  // of a graph: ten for each node that it may have
constexpr std::int64_t kUnknown = 0, kFloat = 1, kInt8 = 3, kInt64 = 7, kBool = 9;

template <std::size_t Size>
bool is_one_of(std::string_view op, const std::array<std::string_view, Size>& ops) {
  return std::ranges::count(ops, op) > 0;
}

constexpr std::array<std::string_view, 4> kOptionalInputs{"Clip", "GRU", "LSTM", "RNN"};
constexpr std::array<std::string_view, 3> kOptionalOutputs{"GRU", "LSTM", "RNN"};
constexpr std::array<std::string_view, 4> kGiveIntegers{"ArgMax", "ArgMin", "Shape", "Size"};
constexpr std::array<std::string_view, 11> kGiveBooleans{
    "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual",
    "Not", "Or",    "Xor"};
constexpr std::array<std::string_view, 3> kReadTables{"Gather", "GatherElements", "GatherND"};
constexpr std::array<std::string_view, 5> kCopyNumbers{"Expand", "Identity", "Reshape", "Squeeze",
                                                       "Unsqueeze"};
constexpr std::array<std::string_view, 12> kTakeFloats{
    "Erf", "Exp",     "Gelu",    "LayerNormalization", "Log",  "LogSoftmax",
    "Sin", "Sigmoid", "Softmax", "Softplus",           "Sqrt", "Tanh"};

/// The tensor of a constant; "" where it is none.
std::string_view constant_tensor(const NodeView& node) {
  enum { kTensor = 5 };
  return ort::last_bytes(attribute_of(node, "value"), kTensor);
}

std::int64_t type_of(const KnownValues& values, const NodeView& node, std::size_t input) {
  if (input >= node.inputs.size()) return kUnknown;
  const auto found = values.types.find(node.inputs[input]);
  return found == values.types.end() ? kUnknown : found->second;
}

std::optional<std::int64_t> smallest_of(const KnownValues& values, std::string_view name) {
  const auto found = values.smallest.find(name);
  if (found == values.smallest.end()) return std::nullopt;
  return found->second;
}

/// The element type of a node's outputs, as far as it follows from those of its inputs.
std::int64_t output_type(const NodeView& node, const KnownValues& values) {
  if (!node.domain.empty()) return kUnknown;
  if (node.op == "Cast") {
    const auto to = integers_of(node, "to");
    return to.empty() ? kUnknown : to.back();
  }
  if (node.op == "Constant" || node.op == "ConstantOfShape") {
    if (node.attributes.contains("value")) return element_type(constant_tensor(node));
    const bool is_float =
        !node.attributes.contains("value_int") && !node.attributes.contains("value_ints");
    return is_float ? kFloat : kInt64;
  }
  if (node.op == "DequantizeLinear") return kFloat;
  if (is_one_of(node.op, kGiveIntegers)) return kInt64;
  if (is_one_of(node.op, kGiveBooleans)) return kBool;
  if (node.op == "Where") return type_of(values, node, 1);
  const std::int64_t first = type_of(values, node, 0);
  return first == kUnknown && is_one_of(node.op, kTakeFloats) ? kFloat : first;
}

/// The shape of a node's outputs, where they are constants.
std::optional<std::vector<std::size_t>> output_shape(const NodeView& node,
                                                     const KnownValues& values) {
  if (!node.domain.empty()) return std::nullopt;  // a function may bear any name
  if (node.op == "Constant" && node.attributes.contains("value")) {
    return tensor_shape(constant_tensor(node));
  }
  if ((node.op != "Identity" && node.op != "Cast") || node.inputs.empty()) return std::nullopt;
  const auto found = values.shapes.find(node.inputs[0]);
  if (found == values.shapes.end()) return std::nullopt;
  return found->second;
}

/// The smallest number of a node's outputs, where it is known before the graph runs.
std::optional<std::int64_t> smallest_output(const NodeView& node, const KnownValues& values) {
  if (!node.domain.empty()) return std::nullopt;
  if (!node.inputs.empty() && is_one_of(node.op, kCopyNumbers)) {
    return smallest_of(values, node.inputs[0]);
  }
  if (node.op != "Constant") return std::nullopt;
  const std::string_view tensor = constant_tensor(node);
  if (!tensor.empty()) return smallest_integer(tensor);
  std::vector<std::int64_t> numbers = integers_of(node, "value_ints");
  for (const std::int64_t number : integers_of(node, "value_int")) numbers.push_back(number);
  if (numbers.empty()) return std::nullopt;
  return std::ranges::min(numbers);
}

// ONNX Runtime divides integers with the processor's instruction, which traps.
void check_division(const NodeView& node, const KnownValues& values) {
  if (node.inputs.size() < 2 || is_floating(type_of(values, node, 1))) return;
  if (smallest_of(values, node.inputs[1]).value_or(0) > 0) return;
  throw ArtifactError("a node " + in_quotes(node.op) +
                      " divides by what is neither a float nor a constant above 0");
}

void check_table(const NodeView& node, const KnownValues& values) {
  const auto smallest = node.inputs.empty() ? std::nullopt : smallest_of(values, node.inputs[0]);
  if (!smallest || *smallest >= 0) return;
  throw ArtifactError("table " + in_quotes(node.inputs[0]) + " of a node " + in_quotes(node.op) +
                      " holds " + std::to_string(*smallest) + "; it must be >= 0");
}

// ONNX Runtime 1.20 reads as many numbers of the bias as the kernel has outputs, however many it
// has; they are known only of constants.
void check_kernel(const NodeView& node, const KnownValues& values, std::size_t rank) {
  const auto shape_of = [&](std::size_t input) -> const std::vector<std::size_t>& {
    const auto found = values.shapes.find(node.inputs[input]);
    if (found != values.shapes.end()) return found->second;
    throw ArtifactError("input " + in_quotes(node.inputs[input]) +
                        " of a node 'Conv' must be a constant");
  };
  if (node.inputs.size() < 2) throw ArtifactError("a node 'Conv' has no kernel");
  const auto& kernel = shape_of(1);
  if (kernel.size() != rank + 2) {
    throw ArtifactError("the kernel of a node 'Conv' has " + std::to_string(kernel.size()) +
                        " axes; kernel_shape is of " + std::to_string(rank) + ", which needs " +
                        std::to_string(rank + 2));
  }
  if (node.inputs.size() < 3 || shape_of(2) == std::vector{kernel[0]}) return;
  throw ArtifactError("the bias of a node 'Conv' must be a vector of " + std::to_string(kernel[0]) +
                      " numbers, one for each output");
}

// ONNX Runtime reads these lists up to the rank of the kernel, however long they are.
void check_convolution(const NodeView& node, const KnownValues& values) {
  enum { kText = 4 };
  const std::size_t rank = integers_of(node, "kernel_shape").size();
  if (rank == 0) throw ArtifactError("a node 'Conv' has no kernel_shape");
  check_kernel(node, values, rank);
  for (const auto& [name, wanted] :
       {std::pair{"strides", rank}, {"dilations", rank}, {"pads", 2 * rank}}) {
    if (!node.attributes.contains(name)) continue;
    const std::size_t found = integers_of(node, name).size();
    if (found == wanted) continue;
    throw ArtifactError("attribute " + in_quotes(name) + " of a node 'Conv' has " +
                        std::to_string(found) + " numbers; a kernel of " + std::to_string(rank) +
                        " axes needs " + std::to_string(wanted));
  }
  const auto padding = ort::last_bytes(attribute_of(node, "auto_pad"), kText);
  if (!padding.empty() && padding != "NOTSET") {
    throw ArtifactError("auto_pad of a node 'Conv' is " + in_quotes(padding) +
                        "; it must be NOTSET");
  }
}

void check_rows_of_int8(const NodeView& node, const KnownValues& values) {
  if (is_rows_of_int8(node)) {
    const auto numbers = values.shapes.find(node.inputs[0]);
    const auto scales = values.shapes.find(node.inputs[1]);
    const auto end = values.shapes.end();
    if (numbers != end && scales != end && numbers->second.size() == 2 &&
        scales->second == std::vector{numbers->second[0]} && type_of(values, node, 0) == kInt8 &&
        type_of(values, node, 1) == kFloat) {
      return;
    }
  }
  throw ArtifactError(
      "a node 'DequantizeLinear' must have a constant matrix of int8, a constant vector of float32 "
      "with a scale for each row, and axis 0");
}

// The kernel of a function reads it, and takes one of another kind for none.
void check_activation(std::string_view attribute) {
  enum { kType = 20, kText = 3 };
  std::int64_t type = kText;
  Field field;
  for (MessageReader reader(attribute); reader.next(field);) {
    if (field.number == kType) type = field.as_number();
  }
  if (type != kText) throw ArtifactError("attribute 'activation' must be a text");
}

}  // namespace

void define(std::string_view name, std::int64_t type, KnownValues& values) {
  if (!values.types.emplace(name, type).second) {
    throw ArtifactError("two values have the name " + in_quotes(name));
  }
  if (values.types.size() <= kMaxValues) return;
  throw ArtifactError("it has more than " + std::to_string(kMaxValues) + " values");
}

void add_constant(std::string_view name, std::string_view tensor, KnownValues& values) {
  define(name, element_type(tensor), values);
  values.shapes[name] = tensor_shape(tensor);
  if (const auto smallest = smallest_integer(tensor)) values.smallest[name] = *smallest;
}

void check_node(const NodeView& node, KnownValues& values) {
  if ((std::ranges::count(node.inputs, "") > 0 && !is_one_of(node.op, kOptionalInputs)) ||
      (std::ranges::count(node.outputs, "") > 0 && !is_one_of(node.op, kOptionalOutputs))) {
    throw ArtifactError("an input or output of a node " + in_quotes(node.op) + " is left out");
  }
  if (node.op == "Constant" && node.domain.empty() && !is_constant_of_its_type(node)) {
    throw ArtifactError(
        "a node 'Constant' must have one attribute, its value, of the type of its name");
  }
  check_activation(attribute_of(node, "activation"));
  const auto parts = integers_of(node, "num_outputs");
  if (!parts.empty() && parts.back() != std::ssize(node.outputs)) {
    throw ArtifactError("a node " + in_quotes(node.op) + " has " +
                        std::to_string(node.outputs.size()) + " outputs, but num_outputs is " +
                        std::to_string(parts.back()));
  }
  if (node.op == "Div" || node.op == "Mod") check_division(node, values);
  if (is_one_of(node.op, kReadTables)) check_table(node, values);
  if (node.op == "Conv") check_convolution(node, values);
  if (node.op == "DequantizeLinear") check_rows_of_int8(node, values);
  const std::int64_t type = output_type(node, values);
  const auto smallest = smallest_output(node, values);
  const auto shape = output_shape(node, values);
  for (const std::string_view output : node.outputs) {
    if (output.empty()) continue;
    define(output, type, values);
    if (smallest) values.smallest[output] = *smallest;
    if (shape) values.shapes[output] = *shape;
  }
  if (node.op == "TopK" && node.outputs.size() > 1) values.types[node.outputs[1]] = kInt64;
}

}  // namespace makemore
