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

/// Throws ArtifactError for bytes that are no NodeProto, or that hold two attributes of a name.
NodeView read_node(std::string_view bytes);

/// The bytes of an attribute; "" where the node has none of that name.
std::string_view attribute_of(const NodeView& node, std::string_view name);

/// The integers of an attribute.
std::vector<std::int64_t> integers_of(const NodeView& node, std::string_view name);

/// Whether a node makes the rows of a matrix from int8, each with a scale of its own: the form of
/// DequantizeLinear that a step may have.
bool is_rows_of_int8(const NodeView& node);

}  // namespace makemore
