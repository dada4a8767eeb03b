#include "native_parameter.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "bounds.h"
#include "errors.h"
#include "half.h"
#include "protobuf_reader.h"
#include "tensor_check.h"

namespace makemore {
namespace {

/// Numbers of float16 in float32.
AlignedBuffer widened(std::string_view halves) {
  const std::size_t count = halves.size() / sizeof(std::uint16_t);
  AlignedBuffer buffer = aligned_buffer(count * sizeof(float));
  float* const floats = buffer.data()->values;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, halves.data() + i * sizeof(half), sizeof(half));
    floats[i] = float_of_half(half);
  }
  return buffer;
}

AlignedBuffer widened_bytes(std::string_view bytes) {
  AlignedBuffer buffer = aligned_buffer(bytes.size() * sizeof(float));
  std::ranges::transform(bytes, buffer.data()->values, [](char byte) {
    return static_cast<float>(static_cast<signed char>(byte));
  });
  return buffer;
}

constexpr std::int64_t kFloat = 1, kInt8 = 3, kInt32 = 6, kHalf = 10;  // of TensorProto.DataType

/// The bytes of the numbers of a tensor, which are to lie in its raw bytes.
std::string_view raw_numbers(std::string_view tensor) {
  enum { kRaw = 9 };
  const std::int64_t type = element_type(tensor);
  const std::string_view raw = ort::last_bytes(tensor, kRaw);
  std::optional<std::size_t> bytes = type == kInt8 ? 1 : type == kHalf ? 2 : 4;
  for (const std::size_t size : tensor_shape(tensor)) {
    if (bytes) bytes = checked_product({*bytes, size});
  }
  const bool is_known = type == kFloat || type == kInt8 || type == kInt32 || type == kHalf;
  if (!is_known || bytes != raw.size() || raw.empty()) {
    throw ArtifactError("a parameter is not raw float32, float16, int8 or int32");
  }
  return raw;
}

/// Of any type that `raw_numbers` takes.
kernels::Parameter read_numbers(std::string_view tensor) {
  const std::int64_t type = element_type(tensor);
  const std::string_view raw = raw_numbers(tensor);
  kernels::Parameter parameter{type == kInt32, type == kHalf, tensor_shape(tensor), {}};
  if (type == kHalf || type == kInt8) {
    parameter.data = type == kHalf ? widened(raw) : widened_bytes(raw);
  } else {
    parameter.data = aligned_buffer(raw.size());
    std::memcpy(parameter.data.data(), raw.data(), raw.size());
  }
  return parameter;
}

}  // namespace

kernels::Parameter read_parameter(std::string_view tensor) {
  if (element_type(tensor) == kInt8) throw ArtifactError("a parameter of int8 has no scales");
  return read_numbers(tensor);
}

kernels::Parameter read_rows(std::string_view tensor, std::string_view scales) {
  kernels::Parameter parameter = read_numbers(tensor);
  const std::string_view raw = raw_numbers(scales);
  if (element_type(tensor) != kInt8 || parameter.shape.size() != 2 ||
      element_type(scales) != kFloat || tensor_shape(scales) != std::vector{parameter.shape[0]}) {
    throw ArtifactError("a parameter is not rows of int8 with a scale each");
  }
  parameter.scales.resize(parameter.shape[0]);
  std::memcpy(parameter.scales.data(), raw.data(), raw.size());
  return parameter;
}

}  // namespace makemore
