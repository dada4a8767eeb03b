#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "node_view.h"

namespace makemore {

/// The values of a graph or of a function, as far as they are known before it runs.
struct KnownValues {
  std::map<std::string_view, std::int64_t> types;               // TensorProto.DataType; 0: unknown
  std::map<std::string_view, std::vector<std::size_t>> shapes;  // of constants
  std::map<std::string_view, std::int64_t> smallest;            // number of a constant of integers
};

/// Adds a value. Throws ArtifactError where another has its name: ONNX Runtime takes one of the
/// two, which may be the one that was not looked at. Also for more values than any model has.
void define(std::string_view name, std::int64_t type, KnownValues& values);

/// Adds a TensorProto under a name; throws what `define` throws.
void add_constant(std::string_view name, std::string_view tensor, KnownValues& values);

/// Throws ArtifactError for what ONNX Runtime crashes on: an input or output left out of an
/// operator that uses it all the same, a Split into more parts than it has outputs, a division of
/// integers by what may be zero or negative, a constant that its attribute leaves open, a
/// convolution whose kernel, bias and lists do not go together, and any other DequantizeLinear than
/// `is_rows_of_int8`. Also for a table of numbers below zero, which as indices would count from the
/// end. Then adds the outputs of the node to `values`.
void check_node(const NodeView& node, KnownValues& values);

}  // namespace makemore
