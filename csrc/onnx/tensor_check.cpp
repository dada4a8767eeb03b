#include "tensor_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "bounds.h"
#include "message_form.h"
#include "protobuf_reader.h"
#include "text.h"

namespace makemore {
namespace {

using ort::Field;
using ort::MessageReader;
using ort::Wire;

constexpr std::size_t kMaxRank = 8;

// Fields of TensorProto.
enum FieldNumber {
  kDims = 1,
  kType = 2,
  kSegment = 3,
  kFloats = 4,
  kInt32s = 5,
  kTexts = 6,
  kInt64s = 7,
  kName = 8,
  kRaw = 9,
  kDoubles = 10,
  kUint64s = 11,
  kExternal = 13,
  kLocation = 14
};

/// Bytes of a number of a TensorProto.DataType; 0 for text, complex numbers, and numbers of less
/// than a byte.
std::size_t number_bytes(std::int64_t type) {
  constexpr std::array<std::size_t, 17> kBytes{0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2};
  return type >= 0 && type < std::ssize(kBytes) ? kBytes[static_cast<std::size_t>(type)] : 0;
}

/// The smallest of the integers of which `bytes` is made, as they lie in memory.
template <class Integer>
std::int64_t smallest_of(std::string_view bytes) {
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  for (std::size_t at = 0; at + sizeof(Integer) <= bytes.size(); at += sizeof(Integer)) {
    Integer value;
    std::memcpy(&value, bytes.data() + at, sizeof(Integer));
    smallest = std::min(smallest, static_cast<std::int64_t>(value));
  }
  return smallest;
}

/// How many numbers of `size` bytes a repeated field holds, which may be packed; of size 0 each
/// takes as many bytes as it needs.
std::size_t count_of(const Field& field, std::size_t size) {
  if (field.wire != Wire::kBytes) return 1;
  if (size > 0) return field.bytes.size() / size;
  std::size_t count = 0;
  for (const char byte : field.bytes) count += (byte & 0x80) == 0 ? 1 : 0;
  return count;
}

struct Tensor {
  std::string name = "without a name";
  std::int64_t type = 0;
  std::vector<std::size_t> shape;
  std::optional<std::string_view> raw;
  std::size_t listed = 0;  // numbers outside of the raw bytes

  void read(const Field& field);
};

Tensor read_tensor(std::string_view bytes) {
  ort::require_form(bytes, ort::kTensorForm);
  Tensor tensor;
  const std::string_view name = ort::last_bytes(bytes, kName);
  if (!name.empty()) tensor.name = in_quotes(name);
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) tensor.read(field);
  return tensor;
}

void Tensor::read(const Field& field) {
  switch (field.number) {
    case kDims:
      return ort::for_each_number(field, [&](std::int64_t size) {
        if (shape.size() == kMaxRank) {
          throw ArtifactError("tensor " + name + " has more than " + std::to_string(kMaxRank) +
                              " axes");
        }
        shape.push_back(static_cast<std::size_t>(size));
      });
    case kType:
      type = field.as_number();
      return;
    case kFloats:
      listed += count_of(field, sizeof(float));
      return;
    case kInt32s:
    case kInt64s:
    case kUint64s:
      listed += count_of(field, 0);
      return;
    case kDoubles:
      listed += count_of(field, sizeof(double));
      return;
    case kRaw:
      raw = field.as_bytes();
      return;
    case kSegment:
    case kTexts:
      throw ArtifactError("tensor " + name + " holds text, or a part of another tensor");
    case kLocation:
      if (field.as_number() == 0) return;  // in this file
      [[fallthrough]];
    case kExternal:
      throw ArtifactError("tensor " + name +
                          " is external data, in another file; an artifact is one file");
  }
}

}  // namespace

std::size_t check_tensor(std::string_view bytes) {
  const Tensor tensor = read_tensor(bytes);
  const std::size_t size = number_bytes(tensor.type);
  if (size == 0) {
    throw ArtifactError("tensor " + tensor.name + " has element type " +
                        std::to_string(tensor.type) + " of ONNX, which no step computes with");
  }
  std::optional<std::size_t> count = 1;
  for (const std::size_t axis : tensor.shape) {
    if (count) count = checked_product({*count, axis});
  }
  const std::size_t found = tensor.listed + tensor.raw.value_or("").size() / size;
  if (count != found || (tensor.raw && tensor.raw->size() % size != 0)) {
    throw ArtifactError("tensor " + tensor.name + " holds " + std::to_string(found) +
                        " numbers; its shape is of " +
                        (count ? std::to_string(*count) : "more than memory holds"));
  }
  return found;
}

std::int64_t element_type(std::string_view bytes) { return read_tensor(bytes).type; }

std::vector<std::size_t> tensor_shape(std::string_view bytes) { return read_tensor(bytes).shape; }

bool is_floating(std::int64_t element_type) {
  constexpr std::array<std::int64_t, 4> kFloating{1, 10, 11, 16};
  return std::ranges::count(kFloating, element_type) > 0;
}

std::optional<std::int64_t> smallest_integer(std::string_view bytes) {
  constexpr std::int64_t kInt32 = 6, kInt64 = 7;
  const std::int64_t type = element_type(bytes);
  if (type != kInt32 && type != kInt64) return std::nullopt;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) {
    if (field.number == kInt32s) {  // of more bits parsers take the low ones
      ort::for_each_number(field, [&](std::int64_t value) {
        smallest = std::min<std::int64_t>(smallest, static_cast<std::int32_t>(value));
      });
    }
    if (field.number == kInt64s) {
      ort::for_each_number(field,
                           [&](std::int64_t value) { smallest = std::min(smallest, value); });
    }
    if (field.number != kRaw) continue;
    smallest = std::min(smallest, type == kInt32 ? smallest_of<std::int32_t>(field.bytes)
                                                 : smallest_of<std::int64_t>(field.bytes));
  }
  return smallest;
}

}  // namespace makemore
