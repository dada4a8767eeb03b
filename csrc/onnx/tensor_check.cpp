#include "tensor_check.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bounds.h"
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
  std::optional<std::size_t> raw_bytes;
  std::size_t listed = 0;  // numbers outside of the raw bytes

  void read(const Field& field);
  void read_dims(const Field& field);
};

void Tensor::read_dims(const Field& field) {
  if (field.wire == Wire::kVarint) return shape.push_back(field.value);
  MessageReader list(field.as_bytes());
  while (!list.at_end()) shape.push_back(list.varint());
}

void Tensor::read(const Field& field) {
  switch (field.number) {
    case kDims:
      return read_dims(field);
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
    case kName:
      name = in_quotes(field.as_bytes());
      return;
    case kRaw:
      raw_bytes = field.as_bytes().size();
      return;
    case kSegment:
    case kTexts:
      throw ArtifactError("tensor " + name + " holds text, or a part of another tensor");
    case kLocation:
      if (field.as_number() == 0) return;  // in this file
      [[fallthrough]];
    case kExternal:
      throw ArtifactError("tensor " + name + " lies in another file; an artifact is one file");
  }
}

}  // namespace

void check_tensor(std::string_view bytes) {
  Tensor tensor;
  Field field;
  for (MessageReader reader(bytes); reader.next(field);) tensor.read(field);
  const std::size_t size = number_bytes(tensor.type);
  if (size == 0) {
    throw ArtifactError("tensor " + tensor.name + " has element type " +
                        std::to_string(tensor.type) + " of ONNX, which no step computes with");
  }
  if (tensor.shape.size() > kMaxRank) {
    throw ArtifactError("tensor " + tensor.name + " has " + std::to_string(tensor.shape.size()) +
                        " axes; the limit is " + std::to_string(kMaxRank));
  }
  std::optional<std::size_t> count = 1;
  for (const std::size_t axis : tensor.shape) {
    if (count) count = checked_product({*count, axis});
  }
  const std::size_t found = tensor.listed + tensor.raw_bytes.value_or(0) / size;
  if (count != found || (tensor.raw_bytes && *tensor.raw_bytes % size != 0)) {
    throw ArtifactError("tensor " + tensor.name + " holds " + std::to_string(found) +
                        " numbers; its shape is of " +
                        (count ? std::to_string(*count) : "more than memory holds"));
  }
}

}  // namespace makemore
