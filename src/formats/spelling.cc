#include "formats/spelling.h"

#include <fmt/format.h>

namespace scant {

std::vector<std::string_view> split_spelling(std::string_view spelling) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t colon = spelling.find(':');
    parts.push_back(spelling.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    spelling.remove_prefix(colon + 1);
  }
}

std::optional<int64_t> parse_decimal(std::string_view text, int64_t limit) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const int digit = c - '0';
    if (value > (limit - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value <= limit ? std::optional(value) : std::nullopt;
}

std::string quoted_part(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  if (text.size() > kLongest) out += "...";
  return out + '"';
}

}  // namespace scant
