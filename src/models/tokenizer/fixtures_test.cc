// The small tokenizers of tests/goldens/tokenizers, against the ids of the `tokenizers` package.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {
namespace {

using nlohmann::json;

const std::string kFolder = std::string(SCANT_SOURCE_DIR) + "/tests/goldens/tokenizers/";

json read_json(const std::string& name) { return json::parse(read_file(kFolder + name)); }

/// Bytes that are kept as the characters U+0000 ... U+00FF.
std::string bytes_of(const std::string& text) {
  std::string bytes;
  for (size_t at = 0; at < text.size(); ++at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    bytes += lead < 0x80 ? text[at] : static_cast<char>((lead & 3) << 6 | (text[++at] & 0x3F));
  }
  return bytes;
}

class TokenizerFixture : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    document_ = read_json(std::string(GetParam()) + ".tokenizer.json");
    golden_ = read_json(std::string(GetParam()) + ".golden.json");
    for (const json& text : read_json("texts.json")) texts_.push_back(bytes_of(text));
    tokenizer_ = Tokenizer::from_json(document_.dump(), GetParam());
  }
  using Ids = std::vector<int32_t>;
  /// The ids with special tokens parsed.
  Ids parsed(size_t i) const {
    const auto& other = golden_.at("ids_parsed");
    const auto found = other.find(std::to_string(i));
    return found == other.end() ? golden_.at("ids")[i].get<Ids>() : found->get<Ids>();
  }

  json document_;
  json golden_;
  std::vector<std::string> texts_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerFixture, EncodesEveryTextAsTheReferenceDoes) {
  ASSERT_EQ(golden_.at("ids").size(), texts_.size());
  for (size_t i = 0; i < texts_.size(); ++i) {
    EXPECT_EQ(tokenizer_->encode(texts_[i]), golden_.at("ids")[i].get<Ids>()) << "text " << i;
    EXPECT_EQ(tokenizer_->encode(texts_[i], {.parse_special = true}), parsed(i)) << "text " << i;
  }
  EXPECT_EQ(tokenizer_->encode("one text", {.add_special = true}),
            golden_.at("with_special_added").get<Ids>());
}

TEST_P(TokenizerFixture, DecodesAsTheReferenceDoes) {
  const json& all = golden_.at("decoded");
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(tokenizer_->decode(parsed(2 * i)), all[i].get<std::string>()) << "text " << 2 * i;
  }
  const json& plain = golden_.at("decoded_without_special");
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(tokenizer_->decode(parsed(5 * i), true), plain[i].get<std::string>())
        << "text " << 5 * i;
  }
}

TEST_P(TokenizerFixture, MeansTheSameWithMergesInTheOtherSpelling) {
  for (json& merge : document_["model"]["merges"]) {
    if (merge.is_array()) {
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    } else {
      const auto both = merge.get<std::string>();
      merge = {both.substr(0, both.find(' ')), both.substr(both.find(' ') + 1)};
    }
  }
  const auto other = Tokenizer::from_json(document_.dump(), GetParam());
  for (size_t i = 0; i < texts_.size(); ++i) {
    EXPECT_EQ(other->encode(texts_[i]), golden_.at("ids")[i].get<Ids>()) << "text " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerFixture,
                         testing::Values("gpt2", "added_tokens", "llama3", "qwen2", "smollm2",
                                         "llama2", "mistral", "metaspace"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace scant
