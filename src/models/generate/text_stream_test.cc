#include "models/generate/text_stream.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

using nlohmann::json;

std::string golden(const std::string& name) {
  return SCANT_SOURCE_DIR "/tests/goldens/tokenizers/" + name;
}

std::unique_ptr<Tokenizer> tokenizer(const std::string& name) {
  const std::string path = golden(name + ".tokenizer.json");
  return Tokenizer::from_json(read_file(path), path);
}

TEST(TextStream, PiecesAreWholeCharactersAndMakeUpTheText) {
  const std::string text =
      "The  old sailor’s boat — naïve 漢字 🙂👩‍👩‍👧 e\xCC\x81\n\n\tß! <x>  "
      "ends ";
  for (const char* name :
       {"gpt2", "llama2", "llama3", "mistral", "qwen2", "smollm2", "metaspace"}) {
    const auto t = tokenizer(name);
    const std::vector<int32_t> ids = t->encode(text);
    const std::string whole = t->decode(ids, true);
    for (size_t prompt = 0; prompt + 1 < ids.size(); prompt += 3) {
      const auto before = std::span(ids).first(prompt);
      const std::string start = t->decode(before, true);
      if (start.ends_with("\xEF\xBF\xBD")) continue;  // a prompt is whole characters
      TextStream stream(*t, before);
      std::string streamed;
      for (size_t i = prompt; i < ids.size(); ++i) {
        const std::string piece = stream.add(ids[i]);
        EXPECT_TRUE(is_valid_utf8(piece)) << name;
        EXPECT_THAT(piece, testing::Not(testing::HasSubstr("\xEF\xBF\xBD"))) << name;
        streamed += piece;
      }
      streamed += stream.finish();
      EXPECT_EQ(start + streamed, whole) << name << " after " << prompt;
    }
  }
}

TEST(TextStream, WaitsForTheRestOfACharacterAndGivesUpAtTheEnd) {
  const auto t = tokenizer("gpt2");
  const std::vector<int32_t> ids = t->encode("\U0001F642");
  ASSERT_GT(ids.size(), 1u);
  TextStream stream(*t, {});
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(stream.add(ids[i]), "");
  EXPECT_EQ(stream.add(ids.back()), "\U0001F642");
  EXPECT_EQ(stream.finish(), "");
  TextStream cut(*t, {});
  EXPECT_EQ(cut.add(ids[0]), "");
  EXPECT_EQ(cut.finish(), "\xEF\xBF\xBD");
}

TEST(TextStream, BytesThatAreNoTextDoNotWaitForever) {
  const auto t = tokenizer("gpt2");
  const int32_t continuation = t->encode("\U0001F642").back();
  TextStream stream(*t, {});
  std::string text;
  for (int i = 0; i < 40; ++i) text += stream.add(continuation);
  EXPECT_GT(text.size(), 60u);
  EXPECT_TRUE(is_valid_utf8(text));
}

std::string streamed(StopFinder& finder, const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += finder.add(piece);
  return text + finder.finish();
}

TEST(StopFinder, FindsAStopThatStraddlesPieces) {
  StopFinder finder({"END"});
  EXPECT_EQ(finder.add("the E"), "the ");
  EXPECT_FALSE(finder.found());
  EXPECT_EQ(finder.add("N"), "");
  EXPECT_EQ(finder.add("D of it"), "");
  EXPECT_TRUE(finder.found());
  EXPECT_EQ(finder.add("more"), "");
  EXPECT_EQ(finder.finish(), "");
}

TEST(StopFinder, GivesBackWhatOnlyLookedLikeAStop) {
  StopFinder finder({"aab"});
  EXPECT_EQ(finder.add("xaa"), "x");
  EXPECT_EQ(finder.add("a"), "a");
  EXPECT_EQ(finder.add("c"), "aac");
  EXPECT_EQ(finder.add("aa"), "");
  EXPECT_EQ(finder.finish(), "aa");
  EXPECT_FALSE(finder.found());
}

TEST(StopFinder, TheEarliestOfSeveralCounts) {
  StopFinder finder({"world", "lo", "\n\n"});
  EXPECT_EQ(streamed(finder, {"hel", "lo wor", "ld"}), "hel");
  EXPECT_TRUE(finder.found());
  StopFinder lines({"\n\n", "x"});
  EXPECT_EQ(streamed(lines, {"a\n", "\nb"}), "a");
  StopFinder none({});
  EXPECT_EQ(streamed(none, {"a", "b"}), "ab");
}

}  // namespace
}  // namespace scant
