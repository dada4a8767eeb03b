#pragma once

#include <cstdint>
#include <string>

namespace makemore::ort {

/// The bytes of a protobuf message, written field by field.
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

/// An ONNX model of one node, rows = Gather(data, indices): what moves rows of a state on a device,
/// and what shows at load that a library works. The fields are those of onnx.proto.
inline std::string gather_model(int element_type) {
  constexpr int kInt64Type = 7, kIrVersion = 8, kOpset = 13;
  const auto tensor = [](const char* name, int type) {  // ValueInfoProto, of any shape
    const Message tensor_type = Message().number(1, static_cast<std::uint64_t>(type));
    return Message().bytes(1, name).bytes(2, Message().bytes(1, tensor_type));
  };
  const Message node =
      Message().bytes(1, "data").bytes(1, "indices").bytes(2, "rows").bytes(4, "Gather");
  const Message graph = Message()
                            .bytes(1, node)
                            .bytes(2, "gather")
                            .bytes(11, tensor("data", element_type))
                            .bytes(11, tensor("indices", kInt64Type))
                            .bytes(12, tensor("rows", element_type));
  return Message().number(1, kIrVersion).bytes(7, graph).bytes(8, Message().number(2, kOpset));
}

}  // namespace makemore::ort
