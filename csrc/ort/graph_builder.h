#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ort_abi.h"

namespace makemore::ort {

/// The bytes of a protobuf message, written field by field. The fields below are those of
/// onnx.proto.
class Message {
 public:
  Message& number(std::uint64_t field, std::uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }

  Message& bytes(std::uint64_t field, const std::string& value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }

  operator const std::string&() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(0x80 | (value & 0x7F));
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

/// An ONNX graph, written node by node. A value is its name; those made here begin with `prefix`.
class Graph {
 public:
  using Value = std::string;
  using Shape = std::vector<std::int64_t>;  // -1: any size
  using Attributes = std::initializer_list<std::pair<const char*, std::int64_t>>;

  explicit Graph(std::string prefix = "") : prefix_(std::move(prefix)) {}

  /// A tensor that the caller gives; with no shape, one of any rank.
  Value input(const std::string& name, ElementType type, std::optional<Shape> shape = {}) {
    graph_.bytes(11, tensor_of(prefix_ + name, type, shape));
    return prefix_ + name;
  }

  /// Makes `value` a result, under its own name.
  void output(const Value& value, ElementType type, std::optional<Shape> shape = {}) {
    graph_.bytes(12, tensor_of(value, type, shape));
  }

  template <class T>
  Value constant(ElementType type, const std::vector<T>& values, const Shape& shape) {
    const Value name = fresh();
    Message tensor;
    for (const std::int64_t size : shape) tensor.number(1, static_cast<std::uint64_t>(size));
    std::string raw(values.size() * sizeof(T), '\0');
    std::memcpy(raw.data(), values.data(), raw.size());
    tensor.number(2, type).bytes(8, name).bytes(9, raw);
    graph_.bytes(5, tensor);
    return name;
  }

  template <class T>
  Value scalar(ElementType type, T value) {
    return constant(type, std::vector<T>{value}, {});
  }

  /// The first result of a node, under a name of its own.
  Value node(const char* op, const std::vector<Value>& inputs, Attributes attributes = {},
             int outputs = 1) {
    const Value name = fresh();
    std::vector<Value> names{name};
    while (std::ssize(names) < outputs) names.push_back(other(name, std::ssize(names)));
    add(op, inputs, names, attributes);
    return name;
  }

  /// Result number `index` of the node whose first result is `value`.
  static Value other(const Value& value, std::ptrdiff_t index) {
    return value + "." + std::to_string(index);
  }

  /// A node whose result has the given name.
  void add(const char* op, const std::vector<Value>& inputs, const std::vector<Value>& outputs,
           Attributes attributes = {}) {
    Message node;
    for (const Value& input : inputs) node.bytes(1, input);
    for (const Value& output : outputs) node.bytes(2, output);
    node.bytes(4, op);
    for (const auto& [name, value] : attributes) {
      constexpr std::uint64_t kInt = 2;  // AttributeProto.AttributeType
      node.bytes(
          5,
          Message().bytes(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, kInt));
    }
    graph_.bytes(1, node);
  }

  /// Names the graph, as a model must that is not appended to another.
  void name(const char* name) { graph_.bytes(2, name); }

  const std::string& bytes() const { return graph_; }

 private:
  static Message tensor_of(const std::string& name, ElementType type,
                           const std::optional<Shape>& shape) {  // ValueInfoProto
    Message tensor = Message().number(1, type);
    if (shape) {
      Message dimensions;
      for (const std::int64_t size : *shape) {
        Message dimension;
        if (size >= 0) dimension.number(1, static_cast<std::uint64_t>(size));
        dimensions.bytes(1, dimension);
      }
      tensor.bytes(2, dimensions);
    }
    return Message().bytes(1, name).bytes(2, Message().bytes(1, tensor));
  }

  Value fresh() { return prefix_ + std::to_string(count_++); }

  std::string prefix_;
  int count_ = 0;
  Message graph_;
};

}  // namespace makemore::ort
