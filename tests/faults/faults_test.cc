// Bad input to the real program: one clear line, a non-zero exit, and nothing half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/dtype.h"
#include "core/file_map.h"
#include "tests/program.h"

namespace scant {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A copy of the embedded model that a test may break.
std::string model_copy(const std::string& folder) {
  fs::copy(embedded_model(), folder + "/model");
  return folder + "/model";
}

void overwrite(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

void expect_one_line(const ProgramRun& run, const std::vector<std::string>& parts) {
  EXPECT_NE(run.status, 0);
  EXPECT_LT(run.status, 128) << "died by a signal";
  EXPECT_EQ(std::count(run.errors.begin(), run.errors.end(), '\n'), 1) << run.errors;
  for (const std::string& part : parts) EXPECT_THAT(run.errors, HasSubstr(part));
}

std::vector<std::string> compress(const std::string& model, const std::string& out) {
  return {"compress", model, "-o", out, "--sparsity", "2:4", "--weights", "int8"};
}

/// Only what was there before: no OUT, no partial folder.
void expect_only(const std::string& folder, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path().filename());
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(names));
}

TEST(Faults, ATruncatedSafetensorsFileIsNamedWithItsTensor) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  fs::resize_file(model + "/model.safetensors", 5'000'000);
  expect_one_line(run_scant(compress(model, folder + "/out")), {"model.safetensors", "tensor"});
  expect_only(folder, {"model"});
}

TEST(Faults, AMissingShardIsNamed) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  fs::remove(model + "/model.safetensors");
  overwrite(model + "/model.safetensors.index.json",
            R"({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}})");
  expect_one_line(run_scant({"inspect", model}), {"model-00001-of-00002.safetensors"});
}

TEST(Faults, AWrongShapeIsNamedWithTheExpectedOne) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  auto config = nlohmann::json::parse(read_file(model + "/config.json"));
  config["intermediate_size"] = 700;
  overwrite(model + "/config.json", config.dump());
  expect_one_line(run_scant({"inspect", model}), {"mlp", "688", "700"});
}

TEST(Faults, AnUnknownArchitectureIsNamedWithTheKnownOnes) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  auto config = nlohmann::json::parse(read_file(model + "/config.json"));
  config["architectures"] = {"MambaForCausalLM"};
  overwrite(model + "/config.json", config.dump());
  expect_one_line(run_scant({"inspect", model}), {"MambaForCausalLM", "LlamaForCausalLM"});
}

/// Overwrites one bfloat16 weight.
void put_weight(const std::string& model, const std::string& tensor, size_t index, uint16_t bits) {
  std::string bytes = read_file(model + "/model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const auto json = nlohmann::json::parse(bytes.substr(8, header));
  const size_t begin = json[tensor]["data_offsets"][0];
  std::memcpy(bytes.data() + 8 + header + begin + 2 * index, &bits, 2);
  overwrite(model + "/model.safetensors", bytes);
}

class NotFinite : public testing::TestWithParam<uint16_t> {};

TEST_P(NotFinite, AWeightThatIsNanOrInfiniteIsNamedWithItsIndex) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  put_weight(model, "model.layers.2.mlp.up_proj.weight", 777, GetParam());
  expect_one_line(run_scant(compress(model, folder + "/out")),
                  {"/model", "model.layers.2.mlp.up_proj.weight", "row 3, column 9"});
  expect_only(folder, {"model"});
}

INSTANTIATE_TEST_SUITE_P(Bits, NotFinite,
                         testing::Values(uint16_t{0x7fc0}, uint16_t{0x7f80}, uint16_t{0xff80}));

TEST(Faults, ATokenizerThatDoesNotMatchTheModelIsFound) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  auto tokenizer = nlohmann::json::parse(read_file(model + "/tokenizer.json"));
  tokenizer["added_tokens"].push_back({{"id", 5000},
                                       {"content", "of the"},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false},
                                       {"special", false}});
  overwrite(model + "/tokenizer.json", tokenizer.dump());
  expect_one_line(run_scant({"eval", model, "--text", embedded_text()}),
                  {"5000", "4096", "tokenizer"});
}

TEST(Faults, AnExistingOutputIsNotTouchedWithoutForce) {
  const std::string folder = scratch_folder();
  fs::create_directory(folder + "/out");
  overwrite(folder + "/out/precious.txt", "data");
  expect_one_line(run_scant(compress(embedded_model(), folder + "/out")),
                  {folder + "/out", "--force"});
  EXPECT_EQ(read_file(folder + "/out/precious.txt"), "data");
  auto forced = compress(embedded_model(), folder + "/out");
  forced.push_back("--force");
  EXPECT_EQ(run_scant(forced).status, 0);
  EXPECT_FALSE(fs::exists(folder + "/out/precious.txt"));
  expect_only(folder, {"out"});
}

TEST(Faults, AnUnwritableOutputIsNamed) {
  expect_one_line(run_scant(compress(embedded_model(), "/proc/scant-out")), {"/proc/scant-out"});
}

TEST(Faults, AFullDiskLeavesNothingBehind) {
  const std::string folder = scratch_folder();
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = old;
  small.rlim_cur = 3'000'000;  // less than OUT: writes fail as on a full disk
  setrlimit(RLIMIT_FSIZE, &small);
  const ProgramRun run = run_scant(compress(embedded_model(), folder + "/out"));
  setrlimit(RLIMIT_FSIZE, &old);
  expect_one_line(run, {"model.safetensors", "cannot be written"});
  expect_only(folder, {});
}

TEST(Faults, AKilledRunLeavesAllOfItsOutputOrNoneAndTheNextRunCleansUp) {
  const std::string folder = scratch_folder();
  const auto arguments = compress(embedded_model(), folder + "/out");
  for (const int milliseconds : {5, 15, 30, 60, 120}) {
    run_scant_and_kill(arguments, milliseconds);
    if (!fs::exists(folder + "/out")) continue;
    // Killed after the folder got its name, or done: then it is whole.
    EXPECT_TRUE(fs::exists(folder + "/out/scant.json"));
    EXPECT_EQ(run_scant({"inspect", folder + "/out"}).status, 0);
    fs::remove_all(folder + "/out");
  }
  EXPECT_EQ(run_scant(arguments).status, 0);
  expect_only(folder, {"out"});
}

TEST(Faults, ACalibratedRunThatWasKilledGoesOnToTheSameBytes) {
  const std::string folder = scratch_folder();
  std::vector<std::string> arguments = {"compress",
                                        embedded_model(),
                                        "-o",
                                        folder + "/out",
                                        "--calibration",
                                        embedded_calibration(),
                                        "--sparsity",
                                        "50%",
                                        "--weights",
                                        "int4:g64",
                                        "--window",
                                        "64",
                                        "--samples",
                                        "48",
                                        "--refit",
                                        "1"};
  const auto with = [&](const std::string& option) {
    std::vector<std::string> more = arguments;
    more.push_back(option);
    return more;
  };
  ASSERT_EQ(run_scant(arguments).status, 0);
  const std::string whole = read_file(folder + "/out/model.safetensors");
  fs::remove_all(folder + "/out");
  // Longer each time, so that some run ends between the first and the last block.
  int interrupted = 0;
  for (int milliseconds = 100; !fs::exists(folder + "/out");
       milliseconds += 50 + milliseconds / 3) {
    std::vector<std::string> offloaded = with("--resume");  // where states lie changes no bit
    offloaded.push_back("--offload");
    run_scant_and_kill(offloaded, milliseconds);
    if (!fs::exists(folder + "/out") && fs::exists(folder + "/out.blocks") && ++interrupted == 1) {
      expect_one_line(run_scant(arguments), {"out.blocks", "--resume", "--force"});
    }
  }
  EXPECT_GT(interrupted, 0);
  EXPECT_TRUE(read_file(folder + "/out/model.safetensors") == whole);
  run_scant(with("--force"));
  expect_only(folder, {"out"});
}

TEST(Faults, ACalibratedRunThatFailsBeforeItsFirstBlockLeavesNothing) {
  const std::string folder = scratch_folder();
  const std::string model = model_copy(folder);
  put_weight(model, "model.layers.0.mlp.up_proj.weight", 777, 0x7fc0);
  std::vector<std::string> arguments = compress(model, folder + "/out");
  arguments.insert(arguments.end(), {"--calibration", embedded_calibration(), "--window", "64"});
  expect_one_line(run_scant(arguments), {"model.layers.0.mlp.up_proj.weight", "row 3, column 9"});
  expect_only(folder, {"model"});
}

TEST(Faults, ABadLineOfCalibrationTextIsNamed) {
  const std::string folder = scratch_folder();
  overwrite(folder + "/text.jsonl", "{\"text\": \"good\"}\n{\"body\": \"bad\"}\n");
  std::vector<std::string> arguments = compress(embedded_model(), folder + "/out");
  arguments.insert(arguments.end(), {"--calibration", folder + "/text.jsonl"});
  expect_one_line(run_scant(arguments), {"text.jsonl, line 2", "\"text\"", "\"body\""});
  expect_only(folder, {"text.jsonl"});
}

struct BadOption {
  std::vector<std::string> arguments;
  std::vector<std::string> parts;
};

class BadOptions : public testing::TestWithParam<BadOption> {};

TEST_P(BadOptions, GiveOneLineThatNamesTheOption) {
  std::vector<std::string> arguments = GetParam().arguments;
  for (std::string& argument : arguments) {
    if (argument == "MODEL") argument = embedded_model();
    if (argument == "TEXT") argument = embedded_text();
    if (argument == "CALIBRATION") argument = embedded_calibration();
  }
  expect_one_line(run_scant(arguments), GetParam().parts);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadOptions,
    testing::Values(
        BadOption{{"inspect", "/nonexistent/model"}, {"/nonexistent/model"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int9"}, {"--weights", "int9"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--sparsity", "5:4"}, {"--sparsity", "5:4"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--sparsity", "2:4", "--weights", "int8",
                   "--order", "random"},
                  {"--order", "random", "joint"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--sparsity", "2:4", "--order", "joint"},
                  {"--order"}},
        BadOption{{"compress", "MODEL", "-o", "x"}, {"nothing to do"}},
        BadOption{{"compress", "MODEL", "--weights", "int8"}, {"--output"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int8", "--only", "("},
                  {"--only", "regular expression"}},
        BadOption{
            {"compress", "MODEL", "-o", "x", "--weights", "int8", "--only", "nothing_like_this"},
            {"--only", "matches no layer"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--recipe", "/nonexistent.yaml"},
                  {"/nonexistent.yaml"}},
        BadOption{
            {"compress", "MODEL", "-o", "x", "--weights", "int8", "--text", "/nonexistent.txt"},
            {"/nonexistent.txt"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--quantizer", "gptq"},
                  {"--calibration", "q_proj"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--quantizer", "gpttq"},
                  {"gpttq", "there are rtn, ", "gptq"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--resume"},
                  {"--resume", "--calibration"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--refit", "1"},
                  {"--calibration", "--refit"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--calibration",
                   "CALIBRATION", "--samples", "2", "--refit", "1"},
                  {"--refit", "3 calibration windows"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--refit", "-1"},
                  {"--refit"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--offload"},
                  {"--offload", "--calibration"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--states", "bf16"},
                  {"--states", "--calibration"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--calibration",
                   "CALIBRATION", "--calibration-field", "body"},
                  {"--calibration-field", ".jsonl"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--calibration",
                   "CALIBRATION", "--window", "513"},
                  {"--window", "513", "at most 512"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--pruner", "wanda"},
                  {"--pruner", "--sparsity"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--sparsity", "2:4", "--weights", "int4",
                   "--joint", "scant", "--pruner", "wanda"},
                  {"--joint", "--pruner"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4:stoch", "--calibration",
                   "CALIBRATION"},
                  {":stoch", "gptq"}},
        BadOption{{"compress", "MODEL", "-o", "x", "--weights", "int4", "--calibration",
                   "/nonexistent.txt"},
                  {"/nonexistent.txt"}},
        BadOption{{"eval", "MODEL", "--text", "TEXT", "--window", "4096"}, {"--window", "512"}},
        BadOption{{"eval", "MODEL", "--text", "TEXT", "--window", "1"}, {"--window"}},
        BadOption{{"eval", "MODEL", "--text", "TEXT", "--max-tokens", "100"}, {"100 tokens"}},
        BadOption{{"eval", "MODEL"}, {"--text"}},
        BadOption{{"tokenize", "MODEL", "--decode", "[99999]"}, {"99999"}},
        BadOption{{"tokenize", "MODEL"}, {"TEXT"}}, BadOption{{"frobnicate"}, {"frobnicate"}}));

}  // namespace
}  // namespace scant
