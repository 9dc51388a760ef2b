#include "models/tokenizer/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// a, b, ab and one added token.
json small() {
  return json::parse(R"({
    "version": "1.0", "truncation": {"max_length": 1}, "padding": null,
    "added_tokens": [{"id": 3, "content": "<x>", "single_word": false, "lstrip": false,
                      "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
              "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
              "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

std::string refusal_of_text(const std::string& text) {
  try {
    Tokenizer::from_json(text, "tokenizer.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

/// What is said about the small tokenizer after `patch` (RFC 7396).
std::string refusal(const char* patch) {
  json document = small();
  document.merge_patch(json::parse(patch));
  return refusal_of_text(document.dump());
}

std::unique_ptr<Tokenizer> patched(const char* patch) {
  json document = small();
  document.merge_patch(json::parse(patch));
  return Tokenizer::from_json(document.dump(), "tokenizer.json");
}

TEST(TokenizerJson, BothSpellingsOfMergesMeanTheSame) {
  for (const char* merges : {R"(["a b"])", R"([["a", "b"]])", R"(["#version: 0.2", "a b"])"}) {
    json document = small();
    document["model"]["merges"] = json::parse(merges);
    EXPECT_THAT(Tokenizer::from_json(document.dump(), "x")->encode("aab"), ElementsAre(0, 2));
  }
}

TEST(TokenizerJson, GivesBackTheTextItWasReadFrom) {
  const std::string text = small().dump(7);
  const auto tokenizer = Tokenizer::from_json(text, "x");
  EXPECT_EQ(tokenizer->to_tokenizer_json(), text);
  EXPECT_EQ(tokenizer->to_tokenizer_config_json(), "");
}

TEST(TokenizerJson, SpecialTokensInTheTextAreParsedOnRequestOnly) {
  const auto tokenizer = Tokenizer::from_json(small().dump(), "x");
  EXPECT_THAT(tokenizer->encode("a<x>b"), ElementsAre(2));  // < x > are not in the vocabulary
  EXPECT_THAT(tokenizer->encode("a<x>b", {.parse_special = true}), ElementsAre(0, 3, 1));
  EXPECT_EQ(tokenizer->token(3), "<x>");
  EXPECT_EQ(tokenizer->vocabulary_size(), 4);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{0, 3, 1}), "a<x>b");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{0, 3, 1}, true), "ab");
}

TEST(TokenizerJson, AnIdThatNoTokenHasIsAnError) {
  const auto tokenizer = Tokenizer::from_json(small().dump(), "tokenizer.json");
  EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{4}), Error);
  EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{-1}), Error);
  EXPECT_THROW(tokenizer->token(4), Error);
}

TEST(TokenizerJson, IdsMayHaveHoles) {
  const auto tokenizer = patched(R"({"added_tokens": null, "model": {"vocab": {"ab": 7}}})");
  EXPECT_EQ(tokenizer->vocabulary_size(), 8);
  EXPECT_EQ(tokenizer->token(5), "");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{0, 5, 7}), "aab");
}

TEST(TokenizerJson, TheTemplateAddsItsTokensOnRequest) {
  const auto tokenizer = patched(R"({"post_processor": {"type": "Sequence", "processors": [
      {"type": "ByteLevel"}, {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
       "pair": [], "special_tokens": {"<x>": {"id": "<x>", "ids": [3, 1], "tokens": ["<x>", "b"]}}}]}})");
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(2));
  EXPECT_THAT(tokenizer->encode("ab", {.add_special = true}), ElementsAre(3, 1, 2));
}

TEST(TokenizerJson, WithoutADecoderTokensAreJoinedBySpaces) {
  const auto tokenizer = patched(R"({"decoder": null})");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{0, 2}), "a ab");
}

TEST(TokenizerJson, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(refusal(R"({"model": {"type": "Unigram"}})"),
              HasSubstr("tokenizer.json: model.type is 'Unigram', which is not supported"));
  EXPECT_THAT(refusal(R"({"normalizer": {"type": "BertNormalizer"}})"),
              HasSubstr("normalizer.type is 'BertNormalizer'"));
  EXPECT_THAT(refusal(R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}]}})"),
              HasSubstr("normalizer.normalizers[0].type is 'Nmt'"));
  EXPECT_THAT(refusal(R"({"pre_tokenizer": {"type": "Whitespace"}})"),
              HasSubstr("pre_tokenizer.type is 'Whitespace'"));
  EXPECT_THAT(refusal(R"({"decoder": {"type": "WordPiece"}})"),
              HasSubstr("decoder.type is 'WordPiece'"));
  EXPECT_THAT(refusal(R"({"post_processor": {"type": "RobertaProcessing"}})"),
              HasSubstr("post_processor.type is 'RobertaProcessing'"));
  EXPECT_THAT(refusal(R"({"version": "2.0"})"), HasSubstr("version is '2.0'"));
  EXPECT_THAT(refusal(R"({"model": {"dropout": 0.1}})"),
              HasSubstr("model.dropout makes ids random"));
  EXPECT_THAT(refusal(R"({"model": {"end_of_word_suffix": "</w>"}})"),
              HasSubstr("model.end_of_word_suffix is '</w>'"));
}

TEST(TokenizerJson, WhatIsBrokenIsNamed) {
  EXPECT_THAT(refusal_of_text("{"), HasSubstr("is not valid JSON at byte"));
  EXPECT_THAT(refusal_of_text("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(refusal_of_text("{\"model\": \"\xFF\"}"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(refusal_of_text("{\"model\": 6e66666}"), HasSubstr("a number is out of range"));
  EXPECT_THAT(refusal(R"({"model": null})"), HasSubstr("has no 'model'"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": []}})"), HasSubstr("model.vocab is not an object"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": {"a": "0"}}})"),
              HasSubstr("an id that is not an integer"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": {"b": 0}}})"), HasSubstr("which 'a' has too"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": {"b": -1}}})"), HasSubstr("out of proportion"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": {"b": 2000000000}}})"),
              HasSubstr("out of proportion"));
  EXPECT_THAT(refusal(R"({"model": {"vocab": {"b": 18446744073709551615}}})"),
              HasSubstr("out of proportion"));
  EXPECT_THAT(refusal(R"({"model": {"merges": {}}})"), HasSubstr("model.merges is not an array"));
  EXPECT_THAT(refusal(R"({"model": {"merges": ["ab"]}})"),
              HasSubstr("model.merges[0] is not two tokens"));
  EXPECT_THAT(refusal(R"({"model": {"merges": [["a"]]}})"),
              HasSubstr("model.merges[0] is neither"));
  EXPECT_THAT(refusal(R"({"model": {"merges": ["b a"]}})"),
              HasSubstr("model.merges[0] needs 'ba', which is not in the vocabulary"));
  EXPECT_THAT(refusal(R"({"model": {"fuse_unk": 1}})"),
              HasSubstr("model.fuse_unk is neither true nor false"));
  EXPECT_THAT(refusal(R"({"model": {"unk_token": 1}})"),
              HasSubstr("model.unk_token is not a string"));
}

TEST(TokenizerJson, BrokenAddedTokensAreNamed) {
  const auto with = [](const char* patch) {
    json document = small();
    document["added_tokens"][0].merge_patch(json::parse(patch));
    return refusal_of_text(document.dump());
  };
  EXPECT_THAT(with(R"({"id": 9})"),
              HasSubstr("added_tokens[0] has id 9, but '<x>' can only have id 3"));
  EXPECT_THAT(with(R"({"content": "a"})"), HasSubstr("has id 3, but 'a' can only have id 0"));
  EXPECT_THAT(with(R"({"id": -3})"), HasSubstr("added_tokens[0].id is -3"));
  EXPECT_THAT(with(R"({"id": 1.5})"), HasSubstr("added_tokens[0].id is not an integer"));
  EXPECT_THAT(with(R"({"id": 18446744073709551615})"),
              HasSubstr("added_tokens[0].id is too large"));
  EXPECT_THAT(with(R"({"lstrip": null})"), HasSubstr("added_tokens[0] has no 'lstrip'"));
  EXPECT_EQ(with(R"({"content": ""})"), "accepted");  // as if it were not there
  json document = small();
  document["added_tokens"].push_back(document["added_tokens"][0]);
  EXPECT_THAT(refusal_of_text(document.dump()), HasSubstr("added_tokens[1] repeats '<x>'"));
  document = small();
  document["added_tokens"][0]["content"] = std::string(2000, 'x');
  EXPECT_THAT(refusal_of_text(document.dump()), HasSubstr("is longer than 1024 bytes"));
  document = small();
  document["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 3}};
  EXPECT_THAT(refusal_of_text(document.dump()), HasSubstr("gives '<x>' an id of the vocabulary"));
  document = small();
  document["normalizer"] = {{"type", "Lowercase"}};
  document["added_tokens"] = json::array();
  for (const char* content : {"X", "x"}) {
    document["added_tokens"].push_back(small()["added_tokens"][0]);
    document["added_tokens"].back().merge_patch(
        {{"content", content}, {"normalized", true}, {"id", content[0] == 'X' ? 3 : 4}});
  }
  EXPECT_THAT(refusal_of_text(document.dump()), HasSubstr("is spelled like another one"));
}

TEST(TokenizerJson, BrokenStepsAreNamed) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"normalizer": {"type": "Replace", "pattern": {}, "content": ""}})",
       "normalizer.pattern is neither a String nor a Regex"},
      {R"({"normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}})",
       "the pattern '(' cannot be used"},
      {R"({"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": ""}})",
       "is empty"},
      {R"({"normalizer": {}})", "normalizer has no 'type'"},
      {R"({"normalizer": 5})", "normalizer is not an object"},
      {R"({"pre_tokenizer": {"type": "ByteLevel"}})", "pre_tokenizer has no 'add_prefix_space'"},
      {R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": 3}})",
       "pre_tokenizer.pretokenizers is not an array"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd", "invert": false}})",
       "pre_tokenizer.behavior is 'Odd'"},
      {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "ab"}})",
       "pre_tokenizer.replacement is not one character"},
      {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "a", "prepend_scheme": "odd"}})",
       "pre_tokenizer.prepend_scheme is 'odd'"},
      {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "a", "add_prefix_space": false}})",
       "prepend_scheme is not never"},
      {R"({"decoder": {"type": "Strip", "content": " ", "start": -1, "stop": 0}})",
       "decoder.start is -1"},
      {R"({"post_processor": {"type": "TemplateProcessing", "single": [], "special_tokens": {}}})",
       "post_processor.single is empty"},
      {R"({"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}],
           "special_tokens": {}}})",
       "is not the sequence A"},
      {R"({"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "q"}}],
           "special_tokens": {}}})",
       "post_processor.special_tokens has no 'q'"},
      {R"({"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "q"}}],
           "special_tokens": {"q": {"ids": [4]}}}})",
       "ids[0] is 4, which no token has"},
      {R"({"post_processor": {"type": "Sequence", "processors": [
           {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}], "special_tokens": {}},
           {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}], "special_tokens": {}}]}})",
       "post_processor.processors[1] is a second TemplateProcessing"},
  };
  for (const auto& [patch, problem] : cases)
    EXPECT_THAT(refusal(patch), HasSubstr(problem)) << patch;
}

TEST(TokenizerJson, DeepNestingIsRefused) {
  json part = {{"type", "NFC"}};
  for (int i = 0; i < 100; ++i) {
    part = {{"type", "Sequence"}, {"normalizers", json::array({part})}};
  }
  json document = small();
  document["normalizer"] = part;
  EXPECT_THAT(refusal_of_text(document.dump()), HasSubstr("nests deeper"));
  EXPECT_THAT(refusal_of_text(std::string(100'000, '[')), HasSubstr("nests deeper"));
}

TEST(TokenizerJson, EveryStepSurvivesWritingAndReading) {
  TokenizerSpec spec;
  spec.source = "x";
  spec.normalizers = {UnicodeForm::kNfc,
                      UnicodeForm::kNfd,
                      UnicodeForm::kNfkc,
                      UnicodeForm::kNfkd,
                      LowercaseStep{},
                      PrependStep{"_"},
                      ReplaceStep{{"a+", true}, "b"}};
  spec.pre_tokenizers = {ByteLevelStep{true, false}, DigitsStep{true}};
  for (const SplitBehavior behavior :
       {SplitBehavior::kRemoved, SplitBehavior::kIsolated, SplitBehavior::kMergedWithPrevious,
        SplitBehavior::kMergedWithNext, SplitBehavior::kContiguous}) {
    spec.pre_tokenizers.emplace_back(SplitStep{{"a\"b", false}, behavior, true});
  }
  for (const PrependScheme scheme :
       {PrependScheme::kAlways, PrependScheme::kFirst, PrependScheme::kNever}) {
    spec.pre_tokenizers.emplace_back(MetaspaceStep{"_", scheme, false});
  }
  spec.has_decoder = true;
  spec.decoders = {ByteLevelDecoder{},      MetaspaceDecoder{"_", PrependScheme::kFirst},
                   ByteFallbackDecoder{},   FuseDecoder{},
                   StripDecoder{" ", 1, 2}, ReplaceStep{{"_", false}, " "}};
  spec.post_template = {{false, "<s>", {2}}, {true, "", {}}};
  spec.bpe.tokens = {"a\n", "\xC3\xA9", "<s>", "a\n\xC3\xA9"};
  spec.bpe.merges = {{0, 1, 3}};
  spec.bpe.unknown = "<s>";
  spec.bpe.fuse_unknown = spec.bpe.byte_fallback = spec.bpe.ignore_merges = true;
  spec.added_tokens = {{2, "<s>", true, true, true, true, true}};
  const std::string written = write_tokenizer_json(spec);
  const TokenizerSpec read = read_tokenizer_json(written, "x");
  EXPECT_EQ(write_tokenizer_json(read), written);
  EXPECT_EQ(read.bpe.tokens, spec.bpe.tokens);
  EXPECT_EQ(read.normalizers.size(), spec.normalizers.size());
  EXPECT_EQ(read.pre_tokenizers.size(), spec.pre_tokenizers.size());
  EXPECT_EQ(read.decoders.size(), spec.decoders.size());
  EXPECT_TRUE(read.added_tokens.at(0).single_word);
}

}  // namespace
}  // namespace scant
