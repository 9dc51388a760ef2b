#include "models/tokenizer/utf8.h"

#include <utf8proc.h>

#include <array>

namespace scant {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the well-formed character at the start of `bytes`, or minus the length of the maximal
/// ill-formed part.
int sequence_length(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte has a narrower range after four of the leads.
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (int i = 1; i < length; ++i) {
    if (static_cast<size_t>(i) >= bytes.size() || at(i) < low || at(i) > high) return -i;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

struct StandIns {
  std::array<char32_t, 256> of_byte{};
  std::array<int16_t, 0x144> to_byte{};
};

constexpr StandIns make_stand_ins() {
  StandIns table;
  for (auto& byte : table.to_byte) byte = -1;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    table.of_byte[byte] = printable ? static_cast<char32_t>(byte) : next++;
    table.to_byte[table.of_byte[byte]] = static_cast<int16_t>(byte);
  }
  return table;
}
constexpr StandIns kStandIns = make_stand_ins();

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const int length = sequence_length(bytes.substr(i, 4));
    if (length < 0) return false;
    i += static_cast<size_t>(length);
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    const int length = sequence_length(bytes.substr(i, 4));
    if (length > 0) {
      out.append(bytes, i, static_cast<size_t>(length));
    } else {
      out.append(kReplacement);
    }
    i += static_cast<size_t>(length > 0 ? length : -length);
  }
  return out;
}

char32_t next_character(std::string_view text, size_t& position) {
  const auto continuation = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + i]) & 0x3F);
  };
  const auto lead = static_cast<unsigned char>(text[position]);
  const size_t length = utf8_length(text[position]);
  char32_t character = lead;
  if (length == 2) character = (lead & 0x1Fu) << 6 | continuation(1);
  if (length == 3) character = (lead & 0x0Fu) << 12 | continuation(1) << 6 | continuation(2);
  if (length == 4) {
    character =
        (lead & 0x07u) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3);
  }
  position += length;
  return character;
}

char32_t character_before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return next_character(text, begin);
}

void append_character(std::string& text, char32_t character) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xC0 | character >> 6);
    put(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    put(0xE0 | character >> 12);
    put(0x80 | (character >> 6 & 0x3F));
    put(0x80 | (character & 0x3F));
  } else {
    put(0xF0 | character >> 18);
    put(0x80 | (character >> 12 & 0x3F));
    put(0x80 | (character >> 6 & 0x3F));
    put(0x80 | (character & 0x3F));
  }
}

bool is_white_space(char32_t character) {
  return (character >= 0x09 && character <= 0x0D) || character == 0x20 || character == 0x85 ||
         character == 0xA0 || character == 0x1680 || (character >= 0x2000 && character <= 0x200A) ||
         character == 0x2028 || character == 0x2029 || character == 0x202F || character == 0x205F ||
         character == 0x3000;
}

bool is_number(char32_t character) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(character))) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

bool is_word_character(char32_t character) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(character))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      break;
  }
  // The joiners, and the symbols that are alphabetic: circled and squared letters.
  return character == 0x200C || character == 0x200D ||
         (character >= 0x24B6 && character <= 0x24E9) ||
         (character >= 0x1F130 && character <= 0x1F149) ||
         (character >= 0x1F150 && character <= 0x1F169) ||
         (character >= 0x1F170 && character <= 0x1F189);
}

char32_t byte_stand_in(unsigned char byte) { return kStandIns.of_byte[byte]; }

std::optional<unsigned char> stand_in_byte(char32_t character) {
  if (character >= kStandIns.to_byte.size() || kStandIns.to_byte[character] < 0) return {};
  return static_cast<unsigned char>(kStandIns.to_byte[character]);
}

}  // namespace scant
