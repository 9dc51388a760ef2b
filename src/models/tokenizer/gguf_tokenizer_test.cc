#include "models/tokenizer/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_json.h"

namespace scant {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kFixtures = std::string(SCANT_SOURCE_DIR) + "/tests/goldens/tokenizers/";

/// The same tokens and merges as a fixture, as a GGUF file holds them.
GgufVocabulary vocabulary_of(const std::string& fixture, const std::string& model,
                             const std::string& pre) {
  const std::string path = kFixtures + fixture + ".tokenizer.json";
  const TokenizerSpec spec = read_tokenizer_json(read_file(path), path);
  GgufVocabulary vocabulary;
  vocabulary.source = "model.gguf";
  vocabulary.model = model;
  vocabulary.pre = pre;
  vocabulary.tokens = spec.bpe.tokens;
  vocabulary.types.assign(spec.bpe.tokens.size(), 1);
  if (pre == "llama-bpe") vocabulary.bos = 0;
  for (const AddedToken& token : spec.added_tokens) {
    const auto id = static_cast<size_t>(token.id);
    vocabulary.tokens[id] = token.content;
    vocabulary.types[id] = token.content == spec.bpe.unknown ? 2 : token.special ? 3 : 4;
  }
  for (const Merge& merge : spec.bpe.merges) {
    vocabulary.merges.push_back(spec.bpe.tokens[static_cast<size_t>(merge.left)] + " " +
                                spec.bpe.tokens[static_cast<size_t>(merge.right)]);
  }
  return vocabulary;
}

/// Scores as SentencePiece gives them: the later a token was made, the lower.
void add_scores(GgufVocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    vocabulary.scores.push_back(id < 259 ? 0.0F : -static_cast<float>(id - 259));
  }
}

std::vector<std::string> fixture_texts() {
  std::vector<std::string> texts;
  for (const json& latin1 : json::parse(read_file(kFixtures + "texts.json"))) {
    std::string bytes;
    const auto text = latin1.get<std::string>();
    for (size_t at = 0; at < text.size(); ++at) {
      const auto lead = static_cast<unsigned char>(text[at]);
      bytes += lead < 0x80 ? text[at] : static_cast<char>((lead & 3) << 6 | (text[++at] & 0x3F));
    }
    texts.push_back(bytes);
  }
  return texts;
}

TEST(GgufTokenizer, EveryPreTokenizerGivesTheIdsOfLlamaCpp) {
  const json golden = json::parse(read_file(kFixtures + "gguf.golden.json"));
  const std::vector<std::string> texts = fixture_texts();
  ASSERT_GE(golden.size(), 9u);
  for (const auto& [name, ids] : golden.items()) {
    const bool sentence_piece = name.starts_with("llama ");
    GgufVocabulary vocabulary = sentence_piece ? vocabulary_of("llama2", "llama", "default")
                                               : vocabulary_of("gpt2", "gpt2", name);
    if (sentence_piece) {
      add_scores(vocabulary);
      vocabulary.merges.clear();
      vocabulary.add_space_prefix = name == "llama with prefix";
    }
    const auto tokenizer = Tokenizer::from_gguf(vocabulary);
    ASSERT_EQ(ids.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(tokenizer->encode(texts[i]), ids[i].get<std::vector<int32_t>>())
          << name << ", text " << i;
    }
  }
}

TEST(GgufTokenizer, TheTokenizerJsonOfAVocabularyBehavesAlike) {
  GgufVocabulary sentence_piece = vocabulary_of("llama2", "llama", "");
  add_scores(sentence_piece);
  for (const GgufVocabulary& vocabulary :
       {vocabulary_of("smollm2", "gpt2", "smollm"), vocabulary_of("llama3", "gpt2", "default"),
        sentence_piece}) {
    const auto tokenizer = Tokenizer::from_gguf(vocabulary);
    const auto again = Tokenizer::from_json(tokenizer->to_tokenizer_json(), "written");
    EXPECT_EQ(again->vocabulary_size(), tokenizer->vocabulary_size());
    for (const std::string& text : fixture_texts()) {
      const EncodeOptions all{.add_special = true, .parse_special = true};
      const std::vector<int32_t> ids = tokenizer->encode(text, all);
      EXPECT_EQ(again->encode(text, all), ids);
      EXPECT_EQ(again->decode(ids), tokenizer->decode(ids));
      EXPECT_EQ(again->decode(ids, true), tokenizer->decode(ids, true));
    }
  }
}

TEST(GgufTokenizer, ScoresRankTheMerges) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>", "<s>", "</s>", "a", "b", "c", "ab", "bc", "abc"};
  vocabulary.types = {2, 3, 3, 1, 1, 1, 1, 1, 1};
  vocabulary.scores = {0, 0, 0, -9, -9, -9, -2, -1, -3};
  vocabulary.add_space_prefix = false;
  EXPECT_THAT(Tokenizer::from_gguf(vocabulary)->encode("abc"), ElementsAre(8));
  vocabulary.scores[8] = 0;
  vocabulary.tokens[8] = "x";
  EXPECT_THAT(Tokenizer::from_gguf(vocabulary)->encode("abc"), ElementsAre(3, 7));
  EXPECT_THAT(Tokenizer::from_gguf(vocabulary)->encode("abc", {.add_special = true}),
              ElementsAre(1, 3, 7));
  vocabulary.add_bos = false;
  vocabulary.add_eos = true;
  EXPECT_THAT(Tokenizer::from_gguf(vocabulary)->encode("abc", {.add_special = true}),
              ElementsAre(3, 7, 2));
}

TEST(GgufTokenizer, TheConfigurationNamesTheSpecialTokens) {
  GgufVocabulary vocabulary = vocabulary_of("smollm2", "gpt2", "smollm");
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.padding = 99999;  // out of range: left out
  vocabulary.chat_template = "{{ messages }}";
  const json config = json::parse(Tokenizer::from_gguf(vocabulary)->to_tokenizer_config_json());
  EXPECT_EQ(config.at("tokenizer_class"), "PreTrainedTokenizerFast");
  EXPECT_EQ(config.at("bos_token"), "<|im_start|>");
  EXPECT_EQ(config.at("eos_token"), "<|im_end|>");
  EXPECT_FALSE(config.contains("pad_token"));
  EXPECT_EQ(config.at("chat_template"), "{{ messages }}");
}

std::string refusal(const std::function<void(GgufVocabulary&)>& change,
                    bool sentence_piece = false) {
  GgufVocabulary vocabulary = sentence_piece ? vocabulary_of("llama2", "llama", "default")
                                             : vocabulary_of("gpt2", "gpt2", "gpt-2");
  if (sentence_piece) add_scores(vocabulary);
  change(vocabulary);
  try {
    Tokenizer::from_gguf(vocabulary)->to_tokenizer_config_json();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(GgufTokenizer, WhatIsBrokenOrNotSupportedIsNamed) {
  using V = GgufVocabulary;
  EXPECT_THAT(refusal([](V& v) { v.model = "t5"; }),
              HasSubstr("model.gguf: tokenizer.ggml.model is 't5'; supported are gpt2 and llama"));
  EXPECT_THAT(refusal([](V& v) { v.pre = "tekken"; }), HasSubstr("tokenizer.ggml.pre is 'tekken'"));
  EXPECT_THAT(refusal([](V& v) { v.tokens.clear(); }), HasSubstr("has no tokenizer.ggml.tokens"));
  EXPECT_THAT(refusal([](V& v) { v.merges.clear(); }), HasSubstr("has no tokenizer.ggml.merges"));
  EXPECT_THAT(refusal([](V& v) { v.types.pop_back(); }),
              HasSubstr("token_type has 699 values for 700"));
  EXPECT_THAT(refusal([](V& v) { v.tokens[5] = v.tokens[4]; }), HasSubstr("twice, at 4 and 5"));
  EXPECT_THAT(refusal([](V& v) { v.tokens[5] = "\xFF"; }),
              HasSubstr("tokens[5] is not valid UTF-8"));
  EXPECT_THAT(refusal([](V& v) { v.merges[0] = "ab"; }), HasSubstr("merges[0] is not two tokens"));
  EXPECT_THAT(refusal([](V& v) { v.merges[0] = ""; }), HasSubstr("merges[0] is not two tokens"));
  EXPECT_THAT(refusal([](V& v) { v.merges[0] = "a \xC2\xA0"; }),
              HasSubstr("which is not among the tokens"));
  EXPECT_THAT(refusal([](V& v) { v.add_bos = true; }), HasSubstr("bos_token_id is needed"));
  EXPECT_THAT(refusal([](V& v) { v.chat_template = "\xFF"; }),
              HasSubstr("chat_template is not valid UTF-8"));
  EXPECT_THAT(refusal([](V& v) { v.scores.pop_back(); }, true),
              HasSubstr("scores has 699 values for 700"));
  EXPECT_THAT(refusal([](V& v) { v.scores[9] = std::numeric_limits<float>::quiet_NaN(); }, true),
              HasSubstr("scores[9] is NaN"));
  EXPECT_EQ(refusal([](V& v) { v.merges.push_back(v.merges[0]); }), "accepted");
}

}  // namespace
}  // namespace scant
