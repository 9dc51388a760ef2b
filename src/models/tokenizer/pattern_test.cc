#include "models/tokenizer/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"

namespace scant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The parts of `text`; matches stand in brackets.
std::vector<std::string> cut(const std::string& expression, const std::string& text,
                             bool is_regex = true) {
  const Pattern pattern({expression, is_regex}, "test");
  PatternMatcher matcher(pattern);
  std::vector<std::string> parts;
  matcher.cut(text, [&](size_t begin, size_t end, bool is_match) {
    const std::string part = text.substr(begin, end - begin);
    parts.push_back(is_match ? "[" + part + "]" : part);
  });
  return parts;
}

std::string refusal(const std::string& expression) {
  try {
    cut(expression, "some text");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Pattern, CutsATextIntoMatchesAndGaps) {
  EXPECT_THAT(cut(R"(\d+)", "a12b3"), ElementsAre("a", "[12]", "b", "[3]"));
  EXPECT_THAT(cut("b", "abc", false), ElementsAre("a", "[b]", "c"));
  EXPECT_THAT(cut(".", "a.c", false), ElementsAre("a", "[.]", "c"));
}

TEST(Pattern, AnEmptyMatchBehindAMatchDoesNotCount) {
  EXPECT_THAT(cut("x*", "axxb"), ElementsAre("[]", "a", "[xx]", "b", "[]"));
}

TEST(Pattern, FindsAMatchFarFromWhereTheSearchStarts) {
  const std::string gap(1000, 'a');
  EXPECT_THAT(cut("b", gap + "b"), ElementsAre(gap, "[b]"));
  const std::string wide = "\xE6\xB1\x89\xE6\xB1\x89\xE6\xB1\x89";
  std::string text;
  for (int i = 0; i < 100; ++i) text += wide;
  EXPECT_THAT(cut("b|c", text + "c"), ElementsAre(text, "[c]"));
}

TEST(Pattern, WhiteSpaceIsUnicodesAndNotPcres) {
  // U+180E was white space until Unicode 6.3.
  EXPECT_THAT(cut(R"(\s)", "a\xE1\xA0\x8E"), ElementsAre("a\xE1\xA0\x8E"));
  EXPECT_THAT(cut(R"(\s)", "\xC2\x85\xE3\x80\x80"), ElementsAre("[\xC2\x85]", "[\xE3\x80\x80]"));
  EXPECT_THAT(cut(R"([^\s])", " \xE1\xA0\x8E"), ElementsAre(" ", "[\xE1\xA0\x8E]"));
}

TEST(Pattern, EscapesMeanWhatTheyMeanInOniguruma) {
  EXPECT_THAT(cut(R"(\h+)", "xffg"), ElementsAre("x", "[ff]", "g"));
  EXPECT_THAT(cut(R"([\h]+)", "xffg"), ElementsAre("x", "[ff]", "g"));
  EXPECT_THAT(cut(R"(\H)", "fg"), ElementsAre("f", "[g]"));
  EXPECT_THAT(cut(R"(\v)", "\n\v"), ElementsAre("\n", "[\v]"));
  EXPECT_THAT(cut(R"([\b])", "b\b"), ElementsAre("b", "[\b]"));
  EXPECT_THAT(cut(R"(\u0041|\x42|\x{1F642})", "xAB\xF0\x9F\x99\x82"),
              ElementsAre("x", "[A]", "[B]", "[\xF0\x9F\x99\x82]"));
  EXPECT_THAT(cut(R"(\w+)", "a_1-\xC3\xA9"), ElementsAre("[a_1]", "-", "[\xC3\xA9]"));
  EXPECT_THAT(cut(R"(\W)", "a-"), ElementsAre("a", "[-]"));
  EXPECT_THAT(cut(R"(\b)", "ab c"), ElementsAre("[]", "ab", "[]", " ", "[]", "c", "[]"));
  EXPECT_THAT(cut(R"(\B)", "ab"), ElementsAre("a", "[]", "b"));
  EXPECT_THAT(cut(R"(\D\S)", "1a"), ElementsAre("1a"));
  EXPECT_THAT(cut(R"(\Aa|a\z|b\Z)", "aaba"), ElementsAre("[a]", "ab", "[a]"));
  EXPECT_THAT(cut("\\\xC3\xA9", "\xC3\xA9"), ElementsAre("[\xC3\xA9]"));
}

TEST(Pattern, AnchorsAreAboutLines) {
  EXPECT_THAT(cut("^.", "ab\ncd"), ElementsAre("[a]", "b\n", "[c]", "d"));
  EXPECT_THAT(cut(".$", "ab\ncd"), ElementsAre("a", "[b]", "\nc", "[d]"));
}

TEST(Pattern, ABareScriptNameMeansTheScriptAlone) {
  // U+3001, the ideographic comma, is only among Han's extensions.
  EXPECT_THAT(cut(R"(\p{Han})", "\xE6\xB1\x89\xE3\x80\x81"),
              ElementsAre("[\xE6\xB1\x89]", "\xE3\x80\x81"));
  EXPECT_THAT(cut(R"(\p{^Han})", "\xE6\xB1\x89x"), ElementsAre("\xE6\xB1\x89", "[x]"));
}

TEST(Pattern, BracesThatAreNoQuantifierAreLiteral) {
  EXPECT_THAT(cut("{a}", "x{a}"), ElementsAre("x", "[{a}]"));
  EXPECT_THAT(cut("a{,2}b", "aab"), ElementsAre("[aab]"));
  EXPECT_THAT(cut("a{2}", "aaa"), ElementsAre("[aa]", "a"));
}

TEST(Pattern, WhatHasNoTranslationIsRefusedWithItsName) {
  for (const char* expression :
       {R"(\1)",      R"(\G)",     R"([a[b]])", R"([a&&b])", R"([\W])", R"(a{1,2}+)", R"(a{2}?)",
        R"((?<n>a))", R"(a(?i)b)", R"((*UTF))", R"(\p)",     R"(\xff)", R"(\x{zz})",  R"(\u12)",
        R"(\q)",      R"([])",     R"([a)",     R"([\A])",   R"([\B])", "a\\"}) {
    EXPECT_THAT(refusal(expression), HasSubstr("is not supported")) << expression;
    EXPECT_THAT(refusal(expression), HasSubstr("test: the pattern")) << expression;
  }
  EXPECT_THAT(refusal("(a"), HasSubstr("cannot be used"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
}

TEST(Pattern, RunawayBacktrackingEndsInAnError) {
  const Pattern pattern({"(a|a|b)*[cd]", true}, "test");
  PatternMatcher matcher(pattern);
  const std::string text(200, 'a');
  EXPECT_THROW(matcher.cut(text, [](size_t, size_t, bool) {}), Error);
}

TEST(Pattern, ADeepMatchNeedsNoMoreThanItsShareOfMemory) {
  // Each repetition of a group is remembered; a million of them fit nowhere.
  const Pattern pattern({"(?:a|b)*?c", true}, "test");
  PatternMatcher matcher(pattern);
  const std::string text = std::string(100'000, 'a') + "c";
  try {
    matcher.cut(text, [](size_t, size_t, bool) {});
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("fails on this text"));
  }
}

}  // namespace
}  // namespace scant
