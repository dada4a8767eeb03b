#include "node_view.h"

#include <algorithm>
#include <array>
#include <string>

#include "message_form.h"
#include "protobuf_reader.h"
#include "text.h"

namespace makemore {

using ort::Field;
using ort::MessageReader;

namespace {

// Far more than a node needs, so that what is read of a file stays a small multiple of its bytes. A
// call of a model of a hundred layers has some two thousand inputs; attributes list axes, paddings
// and the shapes of constants.
constexpr std::size_t kMaxInputs = 10'000;  // and outputs
constexpr std::size_t kMaxAttributes = 100;
constexpr std::size_t kMaxIntegers = 10'000;

/// The field of an AttributeProto that a value of each type is in, by AttributeType.
constexpr std::array<std::uint32_t, 15> kValueFields{0, 2,  3,  4,  5,  6,  7, 8,
                                                     9, 10, 11, 22, 23, 14, 15};

enum { kName = 1 };  // of an attribute and of an input
enum AttributeField { kInt = 3, kInts = 8, kAttributeType = 20 };

void require_fewer(std::size_t count, std::size_t limit, std::string_view op, const char* things) {
  if (count < limit) return;
  throw ArtifactError("a node " + in_quotes(op) + " has more than " + std::to_string(limit) + " " +
                      things);
}

/// The number of a field, 0 where a message has none.
std::int64_t number_of(std::string_view message, std::uint32_t field_number) {
  std::int64_t number = 0;
  Field field;
  for (MessageReader reader(message); reader.next(field);) {
    if (field.number == field_number) number = field.as_number();
  }
  return number;
}

}  // namespace

NodeView read_node(std::string_view bytes) {
  enum { kInput = 1, kOutput = 2, kOp = 4, kAttribute = 5, kDomain = 7 };
  ort::require_form(bytes, ort::kNodeForm);
  NodeView node;
  node.op = ort::last_bytes(bytes, kOp);
  node.domain = ort::last_bytes(bytes, kDomain);
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kInput || field.number == kOutput) {
      auto& names = field.number == kInput ? node.inputs : node.outputs;
      require_fewer(names.size(), kMaxInputs, node.op,
                    field.number == kInput ? "inputs" : "outputs");
      names.push_back(field.bytes);
    }
    if (field.number != kAttribute) continue;
    require_fewer(node.attributes.size(), kMaxAttributes, node.op, "attributes");
    const std::string_view name = ort::last_bytes(field.as_bytes(), kName);
    if (!node.attributes.emplace(name, field.bytes).second) {
      throw ArtifactError("a node " + in_quotes(node.op) + " has two attributes " +
                          in_quotes(name));
    }
  }
  if (node.domain == "ai.onnx") node.domain = "";
  return node;
}

InputView read_input(std::string_view bytes) {
  enum { kType = 2, kTensorType = 1, kElementType = 1 };
  ort::require_form(bytes, ort::kValueForm);
  const std::string_view type = ort::last_bytes(bytes, kType);
  ort::require_form(type, ort::kTypeForm);
  const std::string_view tensor_type = ort::last_bytes(type, kTensorType);
  ort::require_form(tensor_type, ort::kTensorTypeForm);
  return {ort::last_bytes(bytes, kName), number_of(tensor_type, kElementType)};
}

std::string_view attribute_of(const NodeView& node, std::string_view name) {
  const auto found = node.attributes.find(name);
  return found == node.attributes.end() ? "" : found->second;
}

void require_one_value(std::string_view attribute) {
  const auto refuse = [&](const std::string& what) {
    throw ArtifactError("attribute " + in_quotes(ort::last_bytes(attribute, kName)) + what);
  };
  const std::int64_t declared = number_of(attribute, kAttributeType);
  std::int64_t type = 0;
  Field field;
  for (MessageReader reader(attribute); reader.next(field);) {
    const auto found = std::ranges::find(kValueFields, field.number);
    if (found == kValueFields.end()) continue;
    const std::int64_t next = found - kValueFields.begin();
    if (type != 0 && type != next) refuse(" has values of two types");
    type = next;
  }
  if (type == 0 || declared == 0 || declared == type) return;
  refuse(" is declared of type " + std::to_string(declared) + ", but has a value of type " +
         std::to_string(type));
}

std::vector<std::int64_t> integers_of(const NodeView& node, std::string_view name) {
  std::vector<std::int64_t> values;
  Field field;
  for (MessageReader reader(attribute_of(node, name)); reader.next(field);) {
    if (field.number == kInt || field.number == kInts) {
      ort::for_each_number(field, [&](std::int64_t value) {
        require_fewer(values.size(), kMaxIntegers, node.op, "integers in an attribute");
        values.push_back(value);
      });
    }
  }
  return values;
}

bool is_constant_of_its_type(const NodeView& node) {
  struct Constant {
    std::string_view name;
    std::int64_t type;  // AttributeProto.AttributeType
  };
  constexpr std::array<Constant, 5> kConstants{
      {{"value", 4}, {"value_float", 1}, {"value_floats", 6}, {"value_int", 2}, {"value_ints", 7}}};
  if (node.attributes.size() != 1) return false;
  const auto& [name, attribute] = *node.attributes.begin();
  const auto found = std::ranges::find(kConstants, name, &Constant::name);
  return found != kConstants.end() && number_of(attribute, kAttributeType) == found->type;
}

bool is_rows_of_int8(const NodeView& node) {
  return node.op == "DequantizeLinear" && node.domain.empty() && node.inputs.size() == 2 &&
         node.outputs.size() == 1 && node.attributes.size() == 1 &&
         integers_of(node, "axis") == std::vector<std::int64_t>{0};
}

}  // namespace makemore
