#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace makemore {

/// Throws ArtifactError unless a TensorProto of ONNX holds all of its numbers itself: no text, and
/// nothing in another file. Returns how many there are.
std::size_t check_tensor(std::string_view bytes);

/// TensorProto.DataType of a tensor.
std::int64_t element_type(std::string_view bytes);

/// The sizes of a tensor's axes.
std::vector<std::size_t> tensor_shape(std::string_view bytes);

bool is_floating(std::int64_t element_type);

/// The smallest number of a tensor of signed integers, the largest int64 where it is empty;
/// nothing for a tensor of another type.
std::optional<std::int64_t> smallest_integer(std::string_view bytes);

}  // namespace makemore
