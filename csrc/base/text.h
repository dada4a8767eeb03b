#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Text that a file gave, as a message may show it.
namespace makemore {

/// `text` on one line and without control characters, which would move a terminal's cursor or
/// worse; of a text of more than `limit` bytes the beginning.
inline std::string one_line(std::string_view text, std::size_t limit) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string line;
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      line += c;
    } else if (c == '\n') {
      line += ' ';
    } else {
      line += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return text.size() > limit ? line + "..." : line;
}

/// A name in quotes.
inline std::string in_quotes(std::string_view name) {
  std::string quoted = "'";
  quoted += one_line(name, 60);
  return quoted += "'";
}

}  // namespace makemore
