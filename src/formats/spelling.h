#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scant {

/// "a:b:c" -> {"a", "b", "c"}; empty parts stay.
std::vector<std::string_view> split_spelling(std::string_view spelling);

/// A decimal integer of 0 .. limit without sign or leading zeros; nothing otherwise.
std::optional<int64_t> parse_decimal(std::string_view text, int64_t limit);

/// `text` in double quotes for a message of one line: control characters and quotes are escaped,
/// more than 60 bytes are cut.
std::string quoted_part(std::string_view text);

}  // namespace scant
