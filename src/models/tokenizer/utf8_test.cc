#include "models/tokenizer/utf8.h"

#include <gtest/gtest.h>

namespace scant {
namespace {

TEST(Utf8, EachMaximalPartOfAnIllFormedSequenceBecomesOneReplacementCharacter) {
  const std::string bad = "\xEF\xBF\xBD";
  // Left what Python's decode("utf-8", errors="replace") gets, right how many U+FFFD it makes.
  const std::vector<std::pair<std::string, int>> cases = {
      {"\xFF", 1},              // never a lead
      {"\xC0\xAF", 2},          // overlong
      {"\xE0\x80\x80", 3},      // overlong in three bytes
      {"\xED\xA0\x80", 3},      // a surrogate
      {"\xF4\x90\x80\x80", 4},  // beyond U+10FFFF
      {"\xE2\x82", 1},          // cut short
      {"\xF0\x9F\x98", 1},      // cut short
      {"\xF0\x9F\x98\xF0\x9F", 2},
      {"\x80\x80", 2},  // continuations alone
  };
  for (const auto& [bytes, count] : cases) {
    EXPECT_FALSE(is_valid_utf8(bytes));
    std::string expected = "a";
    for (int i = 0; i < count; ++i) expected += bad;
    EXPECT_EQ(replace_invalid_utf8("a" + bytes + "b"), expected + "b");
  }
}

TEST(Utf8, ValidTextStaysAsItIs) {
  const std::string text = "a\xC3\xA9\xE6\xB1\x89\xF0\x9F\x99\x82\xF4\x8F\xBF\xBF";
  EXPECT_TRUE(is_valid_utf8(text));
  EXPECT_EQ(replace_invalid_utf8(text), text);
}

TEST(Utf8, EveryCharacterSurvivesWritingAndReading) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_character(text, c);
    ASSERT_TRUE(is_valid_utf8(text)) << static_cast<uint32_t>(c);
    size_t at = 0;
    ASSERT_TRUE(next_character(text, at) == c);
    ASSERT_EQ(at, text.size());
    ASSERT_TRUE(character_before(text, text.size()) == c);
  }
}

TEST(Utf8, EveryByteHasItsOwnStandIn) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<unsigned char>(byte);
    EXPECT_EQ(stand_in_byte(byte_stand_in(value)), value);
  }
  EXPECT_TRUE(byte_stand_in(32) == 0x120);
  EXPECT_TRUE(byte_stand_in(10) == 0x10A);
  EXPECT_FALSE(stand_in_byte(' ').has_value());
  EXPECT_FALSE(stand_in_byte(0x10FFFF).has_value());
}

TEST(Utf8, WordCharactersAreLettersMarksDigitsConnectorsAndJoiners) {
  for (const char32_t c : {U'a', U'_', U'7', U'\u0301', U'\u200D', U'\u24D0', U'\u6C49'}) {
    EXPECT_TRUE(is_word_character(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U' ', U'-', U'\u00B2', U'\u2014', U'\U0001F642'}) {
    EXPECT_FALSE(is_word_character(c)) << static_cast<uint32_t>(c);
  }
}

}  // namespace
}  // namespace scant
