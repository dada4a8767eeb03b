#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "errors.h"
#include "file_check.h"
#include "graph_builder.h"

// Files written field by field (see onnx.proto), to be refused.
namespace makemore {

using ort::Message;

inline Message node_of(const std::string& op, const std::string& domain = "") {
  return Message().bytes(4, op).bytes(7, domain);
}

inline Message with_attribute(Message node, const Message& attribute) {
  return node.bytes(5, attribute);
}

inline Message integer(const std::string& name, std::int64_t value) {
  return Message().bytes(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, 2);
}

/// A tensor of floats.
inline Message tensor(const std::vector<std::uint64_t>& shape, const std::string& raw) {
  Message tensor = Message().number(2, 1).bytes(8, "weights").bytes(9, raw);
  for (const std::uint64_t size : shape) tensor.number(1, size);
  return tensor;
}

inline Message model_of(const Message& graph) { return Message().number(1, 8).bytes(7, graph); }
inline Message model_of_node(const Message& node) { return model_of(Message().bytes(1, node)); }
inline Message model_of_tensor(const Message& tensor) {
  return model_of(Message().bytes(5, tensor));
}

inline Message function_of(const std::string& name, const Message& node,
                           const std::string& domain = "makemore") {
  return Message().bytes(1, name).bytes(7, node).bytes(10, domain);
}

inline std::string refusal(const std::string& bytes, bool trust = false) {
  try {
    check_file(bytes, trust);
  } catch (const ArtifactError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace makemore
