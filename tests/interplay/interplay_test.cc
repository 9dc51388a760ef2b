// `scant interplay` by the real program on the embedded model: files, resuming, wrong input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "tests/program.h"

namespace scant {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

/// A study of 512 tokens with 2:4, and with int8 and mxfp4 unless `more` names formats.
std::vector<std::string> study(const std::string& out, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"interplay", embedded_model(), "--text", embedded_text()};
  const auto add = [&](const std::vector<std::string>& words) {
    arguments.insert(arguments.end(), words.begin(), words.end());
  };
  add({"--calibration", embedded_calibration(), "-o", out, "--sparsity", "2:4"});
  add({"--window", "64", "--max-tokens", "512"});
  if (std::ranges::find(more, "--formats") == more.end()) add({"--formats", "int8,mxfp4"});
  add(more);
  return arguments;
}

json without_times(const std::string& folder) {
  json content = json::parse(read_file(folder + "/interplay.json"));
  content.erase("times");
  return content;
}

TEST(Interplay, WritesTheStudyItsTablesAndThePage) {
  const std::string out = scratch_folder() + "/study";
  const ProgramRun run = run_scant(study(out));
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, testing::StartsWith("10 cells on 512 tokens; expected time "));
  EXPECT_THAT(run.output, HasSubstr("mxfp4"));
  EXPECT_THAT(run.output, HasSubstr("report.html"));
  const json content = json::parse(read_file(out + "/interplay.json"));
  EXPECT_EQ(content.at("schema"), "scant-interplay");
  EXPECT_EQ(content.at("cells").size(), 10u);
  EXPECT_EQ(content.at("combinations").size(), 6u);
  EXPECT_EQ(content.at("tensors").at("rows").size(), 2u * 42);
  EXPECT_EQ(content.at("layer_errors").at("rows").size(), 6u * 42);
  for (const char* table : {"cells.csv", "tensors.csv", "layers.csv", "growth.csv"}) {
    EXPECT_GT(fs::file_size(out + "/" + table), 100u) << table;
  }
  EXPECT_THAT(read_file(out + "/report.html"), HasSubstr("scant-interplay"));
}

TEST(Interplay, ThePerplexityOfACellIsThatOfTheModelThatCompressWrites) {
  const std::string folder = scratch_folder();
  // With stochastic rounding both must draw the same numbers for every weight.
  for (const std::string format : {"mxfp4", "hbfp4:stoch"}) {
    const std::string out = folder + "/" + format.substr(0, 5);
    ASSERT_EQ(run_scant(study(out + "_study", {"--formats", format, "--seed", "3"})).status, 0);
    const json content = json::parse(read_file(out + "_study/interplay.json"));
    const std::vector<std::string> compress = {
        "compress", embedded_model(), "-o",     out, "--sparsity", "2:4", "--weights", format,
        "--order",  "quantize-first", "--seed", "3"};
    ASSERT_EQ(run_scant(compress).status, 0);
    const ProgramRun eval = run_scant({"eval", out, "--text", embedded_text(), "--window", "64",
                                       "--max-tokens", "512", "--json"});
    ASSERT_EQ(eval.status, 0) << eval.errors;
    const double expected = json::parse(eval.output).at("perplexity").get<double>();
    const auto cell = std::ranges::find_if(content.at("cells"), [&](const json& one) {
      return one.at("name") == "2:4+" + format + " quantize-first";
    });
    ASSERT_NE(cell, content.at("cells").end());
    EXPECT_NEAR(cell->at("perplexity").at(0).get<double>(), expected, 1e-6 * expected) << format;
  }
}

TEST(Interplay, AKilledStudyResumesToTheSameFigures) {
  const std::string folder = scratch_folder();
  ASSERT_EQ(run_scant(study(folder + "/whole", {"--activations"})).status, 0);
  const std::string out = folder + "/killed";
  int killed = 0;
  for (int milliseconds = 400; killed < 20; milliseconds += 300) {
    if (!run_scant_and_kill(study(out, {"--activations"}), milliseconds)) break;
    ++killed;
  }
  EXPECT_GT(killed, 0);
  const ProgramRun last = run_scant(study(out, {"--activations"}));
  ASSERT_EQ(last.status, 0) << last.errors;
  EXPECT_THAT(last.output, HasSubstr("known from before"));
  EXPECT_EQ(without_times(out), without_times(folder + "/whole"));
}

TEST(Interplay, AStudyElsewhereSharesAStore) {
  const std::string folder = scratch_folder();
  const std::vector<std::string> shared = {"--store", folder + "/cells"};
  ASSERT_EQ(run_scant(study(folder + "/first", shared)).status, 0);
  const ProgramRun second = run_scant(study(folder + "/second", shared));
  ASSERT_EQ(second.status, 0) << second.errors;
  EXPECT_THAT(second.output, HasSubstr("10 of them known from before"));
  EXPECT_EQ(without_times(folder + "/first"), without_times(folder + "/second"));
}

TEST(Interplay, AFolderThatCannotBeMadeIsNamedBeforeTheWork) {
  const std::string folder = scratch_folder();
  std::ofstream(folder + "/file") << "not a folder";
  const ProgramRun run = run_scant(study(folder + "/file/study"));
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.errors, HasSubstr(folder + "/file/study"));
  EXPECT_THAT(run.output, testing::Not(HasSubstr("expected time")));
}

TEST(Interplay, SensitivityRanksEveryLayer) {
  const std::string out = scratch_folder() + "/study";
  const ProgramRun run =
      run_scant(study(out, {"--sensitivity", "2:4+mxfp4", "--sensitivity-tokens", "128"}));
  ASSERT_EQ(run.status, 0) << run.errors;
  const json content = json::parse(read_file(out + "/interplay.json"));
  EXPECT_EQ(content.at("sensitivity").at("layers").at("rows").size(), 42u);
}

TEST(Interplay, WrongInputIsOneClearLine) {
  const std::string out = scratch_folder() + "/study";
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--formats", "int9"}, "--formats"},    {{"--orders", "both"}, "--orders"},
      {{"--sensitivity", "2:4+huge"}, "huge"}, {{"--tensor", "model.layers.77"}, "--tensor"},
      {{"--sparsity", "2:4"}, "twice"},
  };
  for (const auto& [more, expected] : cases) {
    const ProgramRun run = run_scant(study(out, more));
    EXPECT_NE(run.status, 0) << more[0];
    EXPECT_LT(run.status, 128);
    EXPECT_EQ(std::count(run.errors.begin(), run.errors.end(), '\n'), 1) << run.errors;
    EXPECT_THAT(run.errors, HasSubstr(expected));
    EXPECT_FALSE(fs::exists(out + "/interplay.json"));
  }
}

}  // namespace
}  // namespace scant
