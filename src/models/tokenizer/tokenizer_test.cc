#include "models/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using nlohmann::json;

const std::string kSource = SCANT_SOURCE_DIR;

std::unique_ptr<Tokenizer> load_file(const std::string& path) {
  return Tokenizer::from_json(read_file(path), path);
}

void expect_golden_ids(const Tokenizer& tokenizer, const std::string& golden) {
  const json cases = json::parse(read_file(golden)).at("tokenizer_cases");
  ASSERT_FALSE(cases.empty());
  for (const json& one : cases) {
    const auto text = one.at("text").get<std::string>();
    const auto ids = one.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << golden << ": " << one.at("name");
    EXPECT_EQ(tokenizer.decode(ids), text) << golden << ": " << one.at("name");
  }
}

TEST(TokenizerGoldens, TheEmbeddedModelGivesTheIdsOfTheGoldenFile) {
  const std::string golden = kSource + "/../shared/goldens/quill-llama-5m.json";
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << golden << " is not there";
  expect_golden_ids(*load_file(kSource + "/assets/quill-llama-5m/tokenizer.json"), golden);
}

TEST(TokenizerGoldens, EverySharedModelGivesTheIdsOfItsGoldenFile) {
  const std::string folder = kSource + "/../shared/goldens";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const std::string name = entry.path().stem().string();
    expect_golden_ids(*load_file(kSource + "/../shared/models/" + name + "/tokenizer.json"),
                      entry.path().string());
  }
}

TEST(Tokenizer, TheEmbeddedModelEncodesAndDecodesAText) {
  const auto tokenizer = load_file(kSource + "/assets/quill-llama-5m/tokenizer.json");
  EXPECT_EQ(tokenizer->vocabulary_size(), 4096);
  EXPECT_EQ(tokenizer->token(0), "<s>");
  const std::vector<int32_t> ids = tokenizer->encode("The old sailor said");
  EXPECT_EQ(ids, (std::vector<int32_t>{489, 744, 3611, 286, 495}));
  EXPECT_EQ(tokenizer->decode(ids), "The old sailor said");
}

}  // namespace
}  // namespace scant
