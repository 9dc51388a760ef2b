// `scant eval` against the perplexities that transformers computed for whole models and texts
// (../shared/goldens, outside the project): the same protocol, within 0.05%.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "tests/program.h"

namespace scant {
namespace {

struct Case {
  const char* model;
  const char* text;
};

class GoldenPerplexity : public testing::TestWithParam<Case> {};

TEST_P(GoldenPerplexity, AgreesWithTransformersWithinFiveHundredthsOfAPercent) {
  const std::string shared = SCANT_SOURCE_DIR "/../shared";
  if (!std::filesystem::exists(shared + "/goldens")) {
    GTEST_SKIP() << "no ../shared/goldens beside the checkout";
  }
  const std::string model = GetParam().model;
  const auto golden = nlohmann::json::parse(read_file(shared + "/goldens/" + model + ".json"));
  const auto& expected = golden["perplexity"][GetParam().text];
  const ProgramRun run =
      run_scant({"eval", shared + "/models/" + model, "--text", shared + "/data/" + GetParam().text,
                 "--max-tokens", "200000", "--json"});
  ASSERT_EQ(run.status, 0) << run.errors;
  const auto result = nlohmann::json::parse(run.output);
  EXPECT_EQ(result["tokens"], expected["tokens_used"]);
  EXPECT_EQ(result["windows"], expected["windows"]);
  EXPECT_EQ(result["predictions"], expected["predictions"]);
  EXPECT_NEAR(result["perplexity"].get<double>() / expected["ppl"].get<double>(), 1.0, 5e-4);
  RecordProperty(
      "relative_difference",
      std::to_string(result["perplexity"].get<double>() / expected["ppl"].get<double>() - 1));
}

std::string case_name(const testing::TestParamInfo<Case>& param) {
  std::string name = std::string(param.param.model) + "_" + param.param.text;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Small, GoldenPerplexity,
                         testing::Values(Case{"quill-llama-5m", "wiki.test.raw"},
                                         Case{"quill-llama-5m", "books.test.txt"}),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Large, GoldenPerplexity,
                         testing::Values(Case{"quill-llama-32m", "wiki.test.raw"},
                                         Case{"quill-llama-32m", "books.test.txt"},
                                         Case{"quill-opt-30m", "wiki.test.raw"},
                                         Case{"quill-opt-30m", "books.test.txt"}),
                         case_name);

}  // namespace
}  // namespace scant
