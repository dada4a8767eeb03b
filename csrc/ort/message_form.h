#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "protobuf_reader.h"

// Which fields the messages of onnx.proto have. What ONNX Runtime takes from a file is what its
// parser makes of it, so a file that leaves the parser a choice is refused.
namespace makemore::ort {

/// A set of field numbers, which are small in onnx.proto.
constexpr std::uint64_t fields(std::initializer_list<unsigned> numbers) {
  std::uint64_t set = 0;
  for (const unsigned number : numbers) set |= std::uint64_t{1} << number;
  return set;
}

/// The fields of a message by what they hold. `bytes` are texts and messages.
struct MessageForm {
  const char* name;
  std::uint64_t numbers, bytes, repeated_numbers, repeated_bytes;
  std::uint64_t floats = 0, repeated_floats = 0, repeated_doubles = 0;
};

inline constexpr MessageForm kModelForm{"a model", fields({1, 5}), fields({2, 3, 4, 6, 7}), 0,
                                        fields({8, 14, 20, 25, 26})};
inline constexpr MessageForm kGraphForm{"a graph", 0, fields({2, 10}), 0,
                                        fields({1, 5, 11, 12, 13, 14, 15, 16})};
inline constexpr MessageForm kFunctionForm{"a function", 0, fields({1, 8, 10, 13}), 0,
                                           fields({4, 5, 6, 7, 9, 11, 12, 14})};
inline constexpr MessageForm kNodeForm{"a node", 0, fields({3, 4, 6, 7, 8}), 0,
                                       fields({1, 2, 5, 9, 10})};
inline constexpr MessageForm kAttributeForm{"an attribute",
                                            fields({3, 20}),
                                            fields({1, 4, 5, 6, 13, 14, 21, 22}),
                                            fields({8}),
                                            fields({9, 10, 11, 15, 23}),
                                            fields({2}),
                                            fields({7})};
inline constexpr MessageForm kTensorForm{
    "a tensor", fields({2, 14}), fields({3, 8, 9, 12}), fields({1, 5, 7, 11}), fields({6, 13, 16}),
    0,          fields({4}),     fields({10})};
inline constexpr MessageForm kValueForm{"an input", 0, fields({1, 2, 3}), 0, fields({4})};
inline constexpr MessageForm kTypeForm{"a type", 0, fields({1, 4, 5, 6, 7, 8, 9}), 0, 0};
inline constexpr MessageForm kTensorTypeForm{"the type of a tensor", fields({1}), fields({2}), 0,
                                             0};

/// Throws ArtifactError unless a message has each field at most once that is not repeated (of
/// numbers a parser takes the last one, but it merges messages), and each in the wire type of what
/// it holds: a parser does not know a field of another, and lists are packed only where they are
/// repeated.
inline void require_form(std::string_view message, const MessageForm& form) {
  std::uint64_t seen = 0;
  Field field;
  for (MessageReader reader(message); reader.next(field);) {
    if (field.number >= 64) continue;
    const std::uint64_t bit = std::uint64_t{1} << field.number;
    const auto require = [&](std::uint64_t set, bool fits) {
      if ((set & bit) == 0 || fits) return;
      throw ArtifactError("field " + std::to_string(field.number) + " of " + form.name +
                          " is of the wrong kind, wire type " +
                          std::to_string(static_cast<int>(field.wire)));
    };
    const bool is_list = field.wire == Wire::kBytes;
    require(form.numbers, field.wire == Wire::kVarint);
    require(form.floats, field.wire == Wire::kFixed32);
    require(form.bytes | form.repeated_bytes, is_list);
    require(form.repeated_numbers, is_list || field.wire == Wire::kVarint);
    require(form.repeated_floats, is_list || field.wire == Wire::kFixed32);
    require(form.repeated_doubles, is_list || field.wire == Wire::kFixed64);
    if ((seen & bit & (form.numbers | form.floats | form.bytes)) != 0) {
      throw ArtifactError(std::string(form.name) + " has field " + std::to_string(field.number) +
                          " twice; it may have it once");
    }
    seen |= bit;
  }
}

}  // namespace makemore::ort
