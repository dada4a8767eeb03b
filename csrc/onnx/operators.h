#pragma once

#include <cstdint>
#include <string_view>

namespace makemore {

/// Operators of ONNX that draw random numbers.
bool is_random(std::string_view op);

/// Operators of ONNX that compute something from tensors of one step: arithmetic, products, sums,
/// activations, indexing, shapes, and cells of recurrent networks. No control flow, no sequence, no
/// text, no image.
bool is_known(std::string_view op);

struct Range {
  std::int64_t low, high;
};

/// What an integer attribute of an operator may be. ONNX Runtime crashes on some values outside.
Range range_of(std::string_view op, std::string_view attribute);

}  // namespace makemore
