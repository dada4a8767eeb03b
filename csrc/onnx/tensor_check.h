#pragma once

#include <cstdint>
#include <string_view>

namespace makemore {

/// Throws ArtifactError unless a TensorProto of ONNX holds all of its numbers itself: no text, and
/// nothing in another file.
void check_tensor(std::string_view bytes);

/// TensorProto.DataType of a tensor.
std::int64_t element_type(std::string_view bytes);

bool is_floating(std::int64_t element_type);

/// Whether a tensor is of signed integers, all above 0.
bool is_positive(std::string_view bytes);

}  // namespace makemore
