#include "models/tokenizer/normalize.h"

#include <gtest/gtest.h>

namespace scant {
namespace {

TEST(Normalize, UnicodeFormsComposeAndDecompose) {
  const std::string composed = "\xC3\xA9";      // e with acute
  const std::string decomposed = "e\xCC\x81";   // e, combining acute
  const std::string ligature = "\xEF\xAC\x81";  // fi
  EXPECT_EQ(to_unicode_form(decomposed, UnicodeForm::kNfc), composed);
  EXPECT_EQ(to_unicode_form(composed, UnicodeForm::kNfd), decomposed);
  EXPECT_EQ(to_unicode_form(ligature, UnicodeForm::kNfc), ligature);
  EXPECT_EQ(to_unicode_form(ligature, UnicodeForm::kNfkc), "fi");
  EXPECT_EQ(to_unicode_form(ligature + decomposed, UnicodeForm::kNfkd), "fi" + decomposed);
  EXPECT_EQ(to_unicode_form("plain", UnicodeForm::kNfc), "plain");
}

TEST(Normalize, HangulSyllablesComposeFromTheirLetters) {
  EXPECT_EQ(to_unicode_form("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", UnicodeForm::kNfc),
            "\xEA\xB0\x81");
  EXPECT_EQ(to_unicode_form("\xEA\xB0\x81", UnicodeForm::kNfd),
            "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");
}

TEST(Normalize, MarksAreOrderedByTheirClass) {
  const std::string below = "\xCC\xA3";  // U+0323, class 220
  const std::string above = "\xCC\x87";  // U+0307, class 230
  EXPECT_EQ(to_unicode_form("q" + above + below, UnicodeForm::kNfd), "q" + below + above);
}

TEST(Normalize, ALongRunOfMarksTakesNoQuadraticTime) {
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i) text += "\xCC\x87\xCC\xA3";
  const std::string ordered = to_unicode_form(text, UnicodeForm::kNfd);
  EXPECT_EQ(ordered.size(), text.size());
  EXPECT_EQ(ordered.substr(1, 4), "\xCC\xA3\xCC\xA3");
}

TEST(Normalize, LowerCaseIsFullButWithoutContext) {
  EXPECT_EQ(to_lower_case("A\xC4\xB0\xC3\x89"), "ai\xCC\x87\xC3\xA9");
  EXPECT_EQ(to_lower_case("\xCE\xA3"), "\xCF\x83");  // never the final sigma
}

TEST(Normalize, StepsApplyInOrderAndTellWhetherTheStartWasRemoved) {
  TokenizerSpec spec;
  spec.normalizers = {PrependStep{"_"}, ReplaceStep{{" +", true}, "_"}};
  const NormalizedText kept = Normalizer(spec).apply("a  b");
  EXPECT_EQ(kept.text, "_a_b");
  EXPECT_TRUE(kept.keeps_start);
  spec.normalizers = {ReplaceStep{{"^ +", true}, ""}};
  const NormalizedText cut = Normalizer(spec).apply("  a");
  EXPECT_EQ(cut.text, "a");
  EXPECT_FALSE(cut.keeps_start);
  EXPECT_EQ(Normalizer(spec).apply("").text, "");
}

}  // namespace
}  // namespace scant
