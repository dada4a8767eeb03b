#pragma once

#include <string>

#include "graph_builder.h"

namespace makemore::ort {

inline std::string model_of(Graph graph, const char* name) {
  constexpr int kIrVersion = 8, kOpset = 13;
  graph.name(name);
  return Message()
      .number(1, kIrVersion)
      .bytes(7, graph.bytes())
      .bytes(8, Message().number(2, kOpset));
}

/// An ONNX model of one node, rows = Gather(data, indices): what moves rows of a state on a device,
/// and what shows at load that a library works.
inline std::string gather_model(ElementType element_type) {
  Graph graph;
  const auto data = graph.input("data", element_type), indices = graph.input("indices", kInt64);
  graph.add("Gather", {data, indices}, {"rows"});
  graph.output("rows", element_type);
  return model_of(graph, "gather");
}

/// An ONNX model that makes rows of a state equal to another: rows = Gather(Concat(data, other),
/// indices), where index B of B rows is the other one.
inline std::string replace_model(ElementType element_type) {
  Graph graph;
  const auto data = graph.input("data", element_type), other = graph.input("other", element_type);
  const auto indices = graph.input("indices", kInt64);
  const auto all = graph.node("Concat", {data, other}, {{"axis", 0}});
  graph.add("Gather", {all, indices}, {"rows"});
  graph.output("rows", element_type);
  return model_of(graph, "replace");
}

}  // namespace makemore::ort
