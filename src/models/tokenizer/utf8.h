#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace scant {

/// Well-formed text as the Unicode Standard defines it (table 3-7): no surrogates, nothing
/// overlong.
bool is_valid_utf8(std::string_view bytes);
/// Each maximal part of an ill-formed sequence becomes one U+FFFD (Unicode 15, section 3.9,
/// "substitution of maximal subparts"), which is what Python's `bytes.decode(errors="replace")` and
/// Rust's `from_utf8_lossy` do.
std::string replace_invalid_utf8(std::string_view bytes);

// The following expect valid UTF-8.

/// Bytes of the character that starts with `lead`.
constexpr size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
/// The character at `position`, which moves behind it.
char32_t next_character(std::string_view text, size_t& position);
/// The character that ends at `end` (> 0).
char32_t character_before(std::string_view text, size_t end);
void append_character(std::string& text, char32_t character);

/// The Unicode property White_Space.
bool is_white_space(char32_t character);
/// General categories Nd, Nl and No.
bool is_number(char32_t character);
/// What `\w` matches by UTS #18: Alphabetic, marks, Nd, Pc and the two joiners.
bool is_word_character(char32_t character);

/// GPT-2's printable stand-in for a byte: itself if it is printable Latin-1, else U+0100 and up.
char32_t byte_stand_in(unsigned char byte);
/// The byte that a stand-in means.
std::optional<unsigned char> stand_in_byte(char32_t character);

}  // namespace scant
