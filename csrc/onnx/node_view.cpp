#include "node_view.h"

#include <string>

#include "protobuf_reader.h"
#include "text.h"

namespace makemore {

using ort::Field;
using ort::MessageReader;

NodeView read_node(std::string_view bytes) {
  enum { kInput = 1, kOutput = 2, kOp = 4, kAttribute = 5, kDomain = 7 };
  enum { kName = 1 };  // of an attribute
  NodeView node;
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kInput) node.inputs.push_back(field.as_bytes());
    if (field.number == kOutput) node.outputs.push_back(field.as_bytes());
    if (field.number == kOp) node.op = field.as_bytes();
    if (field.number == kDomain) node.domain = field.as_bytes();
    if (field.number != kAttribute) continue;
    const std::string_view name = ort::last_bytes(field.as_bytes(), kName);
    if (!node.attributes.emplace(name, field.bytes).second) {
      throw ArtifactError("a node " + in_quotes(node.op) + " has two attributes " +
                          in_quotes(name));
    }
  }
  if (node.domain == "ai.onnx") node.domain = "";
  return node;
}

std::string_view attribute_of(const NodeView& node, std::string_view name) {
  const auto found = node.attributes.find(name);
  return found == node.attributes.end() ? "" : found->second;
}

std::vector<std::int64_t> integers_of(const NodeView& node, std::string_view name) {
  enum { kInt = 3, kInts = 8 };
  std::vector<std::int64_t> values;
  Field field;
  for (MessageReader reader(attribute_of(node, name)); reader.next(field);) {
    if (field.number == kInt || field.number == kInts) {
      ort::for_each_number(field, [&](std::int64_t value) { values.push_back(value); });
    }
  }
  return values;
}

bool is_rows_of_int8(const NodeView& node) {
  return node.op == "DequantizeLinear" && node.domain.empty() && node.inputs.size() == 2 &&
         node.outputs.size() == 1 && node.attributes.size() == 1 &&
         integers_of(node, "axis") == std::vector<std::int64_t>{0};
}

}  // namespace makemore
