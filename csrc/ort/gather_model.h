#pragma once

#include <string>

#include "graph_builder.h"

namespace makemore::ort {

/// An ONNX model of one node, rows = Gather(data, indices): what moves rows of a state on a device,
/// and what shows at load that a library works.
inline std::string gather_model(ElementType element_type) {
  constexpr int kIrVersion = 8, kOpset = 13;
  Graph graph;
  const auto data = graph.input("data", element_type), indices = graph.input("indices", kInt64);
  graph.add("Gather", {data, indices}, {"rows"});
  graph.output("rows", element_type);
  graph.name("gather");
  return Message()
      .number(1, kIrVersion)
      .bytes(7, graph.bytes())
      .bytes(8, Message().number(2, kOpset));
}

}  // namespace makemore::ort
