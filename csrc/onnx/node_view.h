#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace makemore {

/// A NodeProto of ONNX: names of values, and its AttributeProtos by their names.
struct NodeView {
  std::string_view op, domain;
  std::vector<std::string_view> inputs, outputs;
  std::map<std::string_view, std::string_view> attributes;
};

/// Throws ArtifactError for bytes that are no NodeProto, or that hold two attributes of a name, or
/// more inputs, outputs or attributes than a node of any model has.
NodeView read_node(std::string_view bytes);

/// A ValueInfoProto: its name, and its TensorProto.DataType if it is a tensor, else 0.
struct InputView {
  std::string_view name;
  std::int64_t type;
};

/// Throws ArtifactError for bytes that are no ValueInfoProto.
InputView read_input(std::string_view bytes);

/// The bytes of an attribute; "" where the node has none of that name.
std::string_view attribute_of(const NodeView& node, std::string_view name);

/// Throws ArtifactError for an attribute of several values, or of another type than its value is:
/// ONNX Runtime would choose among them.
void require_one_value(std::string_view attribute);

/// The integers of an attribute. Throws ArtifactError for more than an attribute of a step has.
std::vector<std::int64_t> integers_of(const NodeView& node, std::string_view name);

/// Whether a constant has one attribute, of the type that goes with its name, and no text: ONNX
/// Runtime goes by the type of the first attribute, whatever its name.
bool is_constant_of_its_type(const NodeView& node);

/// Whether a node makes the rows of a matrix from int8, each with a scale of its own: the form of
/// DequantizeLinear that a step may have.
bool is_rows_of_int8(const NodeView& node);

}  // namespace makemore
