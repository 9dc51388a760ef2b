#include "models/tokenizer/to_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"
#include "models/tokenizer/gguf_tokenizer.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_json.h"

namespace scant {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kFixtures = std::string(SCANT_SOURCE_DIR) + "/tests/goldens/tokenizers/";

TokenizerSpec fixture(const std::string& name) {
  const std::string path = kFixtures + name + ".tokenizer.json";
  return read_tokenizer_json(read_file(path), path);
}

std::string text_of(const std::string& name) {
  return read_file(kFixtures + name + ".tokenizer.json");
}

GgufTokenizer made_from(const TokenizerSpec& spec, const json& config = json::object()) {
  return to_gguf(spec, config, json::object(), 720);
}

std::string refusal(const TokenizerSpec& spec) {
  try {
    made_from(spec);
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an Error";
  return "";
}

/// Some that tell pre-tokenizers apart.
const char* const kTexts[] = {
    "The quick brown fox's 12345 dogs aren't here, they'LL be back.\n\n  x",
    "caf\xc3\xa9 na\xc3\xafve  \t tabs\r\nand 3.14 \xe6\xb1\x89\xe5\xad\x97",
    "  leading   spaces   ", "for (int i = 0; i < n; ++i) {\n    x;\n}", ""};

TEST(ToGguf, ByteLevelTokenizersGiveTheSameIdsWhenTheyAreReadBack) {
  for (const auto& [name, pre] : {std::pair{"gpt2", "gpt-2"}, std::pair{"smollm2", "smollm"},
                                  std::pair{"llama3", "llama-bpe"}, std::pair{"qwen2", "qwen2"}}) {
    SCOPED_TRACE(name);
    const GgufTokenizer made = made_from(fixture(name));
    EXPECT_EQ(made.vocabulary.pre, pre);
    EXPECT_EQ(made.vocabulary.model, "gpt2");
    EXPECT_EQ(made.vocabulary.tokens.size(), 720u);
    EXPECT_EQ(made.vocabulary.tokens[719], "[PAD719]");
    EXPECT_EQ(made.vocabulary.types[719], 5);
    const auto before = Tokenizer::from_json(text_of(name), name);
    const auto after = Tokenizer::from_gguf(made.vocabulary);
    for (const char* text : kTexts) {
      for (const bool special : {false, true}) {
        EXPECT_EQ(before->encode(text, {.add_special = special}),
                  after->encode(text, {.add_special = special}))
            << text;
      }
    }
  }
}

TEST(ToGguf, WhatIsAddedAroundATextIsSaid) {
  const GgufTokenizer plain = made_from(fixture("gpt2"));
  EXPECT_EQ(plain.vocabulary.add_bos, false);
  EXPECT_EQ(plain.vocabulary.add_eos, false);
  const GgufTokenizer llama3 = made_from(fixture("llama3"));
  EXPECT_EQ(llama3.vocabulary.add_bos, true);
  EXPECT_EQ(llama3.vocabulary.bos, 700);
  EXPECT_EQ(llama3.vocabulary.add_eos, false);
  const GgufTokenizer mistral = made_from(fixture("mistral"));
  EXPECT_EQ(mistral.vocabulary.add_bos, true);
  EXPECT_EQ(mistral.vocabulary.add_eos, true);
  EXPECT_EQ(mistral.vocabulary.eos, 2);

  TokenizerSpec other = fixture("llama3");
  other.post_template.insert(other.post_template.begin(), {false, "<|endoftext|>", {701}});
  EXPECT_THAT(refusal(other), HasSubstr("before every text; GGUF can say that of one bos"));
}

TEST(ToGguf, SpecialTokensHaveTheirIdsAndTypes) {
  const json config = {{"bos_token", "<|im_start|>"}, {"eos_token", {{"content", "<|im_end|>"}}}};
  const TokenizerSpec spec = fixture("qwen2");
  const GgufTokenizer made =
      to_gguf(spec, config, {{"pad_token_id", 700}, {"eos_token_id", 9}}, 703);
  EXPECT_EQ(made.vocabulary.bos, 701);
  EXPECT_EQ(made.vocabulary.eos, 702);  // the tokenizer's own word counts
  EXPECT_EQ(made.vocabulary.padding, 700);
  EXPECT_EQ(made.vocabulary.unknown, std::nullopt);
  EXPECT_EQ(made.vocabulary.types[700], 3);
  EXPECT_EQ(made.vocabulary.types[5], 1);
  EXPECT_THAT(made.notes, ElementsAre(HasSubstr("NFC")));
  EXPECT_THAT([&] { to_gguf(spec, config, {}, 702); },
              testing::ThrowsMessage<Error>(HasSubstr("703 tokens for the model's 702 rows")));
}

TEST(ToGguf, SentencePieceGetsScoresFromTheRanksOfItsMerges) {
  for (const char* name : {"llama2", "mistral"}) {
    SCOPED_TRACE(name);
    const TokenizerSpec spec = fixture(name);
    const GgufTokenizer made = made_from(spec);
    EXPECT_EQ(made.vocabulary.model, "llama");
    EXPECT_EQ(made.vocabulary.add_space_prefix, true);
    EXPECT_EQ(made.vocabulary.types[0], 2);  // <unk>
    EXPECT_EQ(made.vocabulary.types[1], 3);
    EXPECT_EQ(made.vocabulary.types[3], 6);  // <0x00>
    const Merge& second = spec.bpe.merges[1];
    EXPECT_LE(made.vocabulary.scores[static_cast<size_t>(second.result)], 0.0f);
    EXPECT_GE(made.vocabulary.scores[static_cast<size_t>(second.result)], -1.0f);
    const auto before = Tokenizer::from_json(text_of(name), name);
    const auto after = Tokenizer::from_gguf(made.vocabulary);
    for (const char* text : kTexts) {
      if (*text == '\0' || *text == ' ') continue;  // as the notes say
      EXPECT_EQ(before->encode(text, {.add_special = true}),
                after->encode(text, {.add_special = true}))
          << text;
    }
  }
}

TEST(ToGguf, MergesThatScoresCannotGiveAreNoted) {
  const GgufTokenizer made = made_from(fixture("llama2"));  // its merges are fewer
  EXPECT_THAT(made.notes, ElementsAre(HasSubstr("not those that scores give")));
  TokenizerSpec spec = gguf_tokenizer_spec(made.vocabulary);
  const GgufTokenizer again = made_from(spec);
  EXPECT_THAT(again.notes, IsEmpty());
  spec.bpe.merges.erase(spec.bpe.merges.begin() + 3);
  EXPECT_THAT(made_from(spec).notes, ElementsAre(HasSubstr("not those that scores give")));
}

TEST(ToGguf, OtherTokenizersAreRefusedWithTheNearest) {
  EXPECT_THAT(refusal(fixture("added_tokens")), HasSubstr("no known pre-tokenizer of GGUF"));
  EXPECT_THAT(refusal(fixture("metaspace")), HasSubstr("no known pre-tokenizer of GGUF"));
  TokenizerSpec spec = fixture("gpt2");
  spec.normalizers.emplace_back(LowercaseStep{});
  EXPECT_THAT(refusal(spec), HasSubstr("normalizes text"));
  spec = fixture("llama2");
  spec.normalizers.emplace_back(LowercaseStep{});
  EXPECT_THAT(refusal(spec), HasSubstr("SentencePiece vocabularies of GGUF"));
  spec = fixture("llama3");
  spec.bpe.ignore_merges = false;  // llama-bpe looks whole words up
  EXPECT_THAT(refusal(spec), HasSubstr("no known pre-tokenizer"));
}

}  // namespace
}  // namespace scant
