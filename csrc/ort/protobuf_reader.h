#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "errors.h"

namespace makemore::ort {

enum class Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// A field of a protobuf message. Of a varint `value` is the number, of others `bytes` is the data.
struct Field {
  std::uint32_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t value = 0;
  std::string_view bytes;

  // The content, for a field whose kind is known. A parser ignores a field of another kind.
  std::int64_t as_number() const {
    if (wire != Wire::kVarint) throw ArtifactError("it has a field of the wrong kind");
    return static_cast<std::int64_t>(value);
  }
  std::string_view as_bytes() const {
    if (wire != Wire::kBytes) throw ArtifactError("it has a field of the wrong kind");
    return bytes;
  }
};

/// Reads the fields of a protobuf message, as `Message` writes them. It copies nothing, and
/// does not look into fields that are messages. Throws ArtifactError for bytes that are no message.
class MessageReader {
 public:
  explicit MessageReader(std::string_view bytes) : rest_(bytes) {}

  /// False at the end.
  bool next(Field& field) {
    if (rest_.empty()) return false;
    const std::uint64_t tag = varint();
    constexpr std::uint64_t kLargestTag = 0xFFFFFFFF;  // parsers may cut off the bits above
    if (tag > kLargestTag || tag >> 3 == 0) throw ArtifactError("it has a field without a number");
    field = {static_cast<std::uint32_t>(tag >> 3), static_cast<Wire>(tag & 7), 0, {}};
    switch (field.wire) {
      case Wire::kVarint:
        field.value = varint();
        return true;
      case Wire::kFixed64:
        field.bytes = take(8);
        return true;
      case Wire::kBytes:
        field.bytes = take(varint());
        return true;
      case Wire::kFixed32:
        field.bytes = take(4);
        return true;
    }
    throw ArtifactError("it has a field of no known kind");
  }

  /// The next number of a packed list; the list must not be at its end.
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    throw ArtifactError("it has a number of more than 64 bits");
  }

  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) throw ArtifactError("it ends in the middle of a field");
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
};

/// The numbers of a repeated field, which may be packed.
template <class Use>
void for_each_number(const Field& field, const Use& use) {
  if (field.wire == Wire::kVarint) return use(field.as_number());
  MessageReader list(field.as_bytes());
  while (!list.at_end()) use(static_cast<std::int64_t>(list.varint()));
}

/// The last value of a field of bytes, which is the one that parsers take; "" where there is none.
inline std::string_view last_bytes(std::string_view message, std::uint32_t number) {
  std::string_view found;
  Field field;
  for (MessageReader reader(message); reader.next(field);) {
    if (field.number == number) found = field.as_bytes();
  }
  return found;
}

}  // namespace makemore::ort
