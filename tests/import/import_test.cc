// Models of other tools through the real program: imported with their codes, exported again,
// act-order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "tests/program.h"

namespace scant {
namespace {

using nlohmann::json;
using testing::HasSubstr;

using Arguments = std::vector<std::string>;

std::string run(const Arguments& arguments) {
  const ProgramRun run = run_scant(arguments);
  EXPECT_EQ(run.status, 0) << run.errors;
  return run.output;
}

void compress(const std::string& model, const std::string& out, Arguments how) {
  how.insert(how.begin(), {"compress", model, "-o", out});
  run(how);
}

void export_to(const std::string& target, const std::string& model, const std::string& out) {
  run({"export", model, "--to", target, "-o", out});
}

void expect_same_file(const std::string& one, const std::string& other, const std::string& name) {
  EXPECT_TRUE(read_file(one + "/" + name) == read_file(other + "/" + name)) << name;
}

json config_of(const std::string& folder) {
  return json::parse(read_file(folder + "/config.json"));
}

double perplexity_of(const std::string& model) {
  return json::parse(run({"eval", model, "--text", embedded_text(), "--max-tokens", "2048",
                          "--inputs", "fp32", "--json"}))["perplexity"];
}

/// What calibrated methods need to be quick.
Arguments calibrated(Arguments how) {
  how.insert(how.end(), {"--calibration", embedded_calibration(), "--samples", "8", "--window",
                         "64", "--refit", "0"});
  return how;
}

/// `folder`/others in the target's format, `folder`/packed imported from it, `folder`/again
/// exported from that: the same bytes.
void expect_comes_back(const std::string& folder, const std::string& target) {
  const std::string table = run({"import", folder + "/others", "-o", folder + "/packed"});
  EXPECT_THAT(table, HasSubstr(", its codes"));
  export_to(target, folder + "/packed", folder + "/again");
  expect_same_file(folder + "/others", folder + "/again", "model.safetensors");
  expect_same_file(folder + "/others", folder + "/again", "config.json");
  expect_same_file(folder + "/others", folder + "/again", "tokenizer.json");
  export_to("dense", folder + "/others", folder + "/values");
  run({"unpack", folder + "/packed", "-o", folder + "/unpacked"});
  expect_same_file(folder + "/values", folder + "/unpacked", "model.safetensors");
}

TEST(Import, CodesOfOtherToolsBecomeAPackedFolderAndGoBackByteForByte) {
  for (const char* target : {"gptq_v2", "compressed-tensors"}) {
    const std::string folder = scratch_folder() + "/" + target;
    compress(embedded_model(), folder + "/others",
             {"--weights", "int4:g16:asym:scale=fp16", "--to", target});
    expect_comes_back(folder, target);
  }
}

TEST(Import, HowInputsAreQuantizedComesAlong) {
  const std::string folder = scratch_folder();
  compress(embedded_model(), folder + "/others",
           {"--weights", "int8", "--activations", "int8:asym", "--to", "compressed-tensors"});
  run({"import", folder + "/others", "-o", folder + "/packed"});
  export_to("compressed-tensors", folder + "/packed", folder + "/again");
  expect_same_file(folder + "/others", folder + "/again", "model.safetensors");
  expect_same_file(folder + "/others", folder + "/again", "config.json");
  EXPECT_EQ(perplexity_of(folder + "/packed"), perplexity_of(folder + "/others"));
  const std::string shown = run({"inspect", folder + "/packed", "--no-statistics"});
  EXPECT_THAT(shown, HasSubstr("imported by scant"));
  EXPECT_THAT(shown, HasSubstr("activations of 42 layers quantized"));
}

TEST(Import, AGgufKeepsCodesThatScantHas) {
  const std::string folder = scratch_folder();
  compress(embedded_model(), folder + "/quill.gguf",
           {"--weights", "int4:g32:scale=fp16", "--skip", "down_proj", "--head",
            "int8:g32:scale=fp16", "--to", "gguf"});
  const std::string table = run({"import", folder + "/quill.gguf", "-o", folder + "/packed"});
  EXPECT_THAT(table, HasSubstr("Q4_0            36  int4:g32:scale=fp16, its codes  1.77 MiB"));
  EXPECT_THAT(table, HasSubstr("Q8_0             1  int8:g32:scale=fp16, its codes  1.06 MiB"));
  EXPECT_THAT(table, HasSubstr("BF16, as it is"));
  export_to("dense", folder + "/quill.gguf", folder + "/values");
  export_to("dense", folder + "/packed", folder + "/unpacked");
  expect_same_file(folder + "/values", folder + "/unpacked", "model.safetensors");
  export_to("gguf", folder + "/packed", folder + "/again.gguf");
  EXPECT_EQ(perplexity_of(folder + "/again.gguf"), perplexity_of(folder + "/quill.gguf"));
}

TEST(Import, BlocksOfGgufKeepTheirCodes) {
  for (const std::string format : {"q4_1", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"}) {
    SCOPED_TRACE(format);
    const std::string folder = scratch_folder();
    compress(embedded_model(), folder + "/quill.gguf",
             {"--weights", format, "--skip", "down_proj", "--to", "gguf"});
    const std::string table = run({"import", folder + "/quill.gguf", "-o", folder + "/packed"});
    EXPECT_THAT(table, HasSubstr(format + ", its codes"));
    EXPECT_EQ(perplexity_of(folder + "/packed"), perplexity_of(folder + "/quill.gguf"));
    // The same codes: the file is the same again, as both are made in a folder of one name.
    std::filesystem::create_directories(folder + "/again");
    std::filesystem::rename(folder + "/packed", folder + "/again/quill-llama-5m");
    export_to("gguf", folder + "/again/quill-llama-5m", folder + "/again/quill.gguf");
    expect_same_file(folder, folder + "/again", "quill.gguf");
  }
}

TEST(Import, WhatHasNoCodesAndWhatIsPackedAlreadyAreRefused) {
  const std::string folder = scratch_folder();
  const ProgramRun dense = run_scant({"import", embedded_model(), "-o", folder + "/out"});
  EXPECT_NE(dense.status, 0);
  EXPECT_THAT(dense.errors, HasSubstr("holds no codes of a number format that scant has"));
  compress(embedded_model(), folder + "/packed", {"--weights", "int8", "--to", "packed"});
  const ProgramRun packed = run_scant({"import", folder + "/packed", "-o", folder + "/out"});
  EXPECT_NE(packed.status, 0);
  EXPECT_THAT(packed.errors, HasSubstr("is a packed folder already"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/out"));
}

TEST(ActOrder, GroupsOfReorderedColumnsRunAndGoToGptqAndBack) {
  const std::string folder = scratch_folder();
  const Arguments how =
      calibrated({"--weights", "int4:g16:scale=fp16", "--quantizer", "gptq-desc-act"});
  Arguments to_packed = how, to_gptq = how;
  to_packed.insert(to_packed.end(), {"--to", "packed"});
  to_gptq.insert(to_gptq.end(), {"--to", "gptq"});
  compress(embedded_model(), folder + "/first", to_packed);
  compress(embedded_model(), folder + "/simulated", how);
  compress(embedded_model(), folder + "/others", to_gptq);
  EXPECT_NEAR(perplexity_of(folder + "/first") / perplexity_of(folder + "/simulated"), 1.0, 1e-4);
  const json said = config_of(folder + "/first")["quantization_config"]["tensors"];
  EXPECT_EQ(said["model.layers.0.mlp.up_proj.weight"]["column_order"], true);
  EXPECT_EQ(config_of(folder + "/others")["quantization_config"]["desc_act"], true);
  expect_comes_back(folder, "gptq");
  EXPECT_NEAR(perplexity_of(folder + "/others") / perplexity_of(folder + "/simulated"), 1.0, 1e-4);
  for (const auto& [target, out] : {std::pair{"compressed-tensors", "/out"}, {"gguf", "/x.gguf"}}) {
    const ProgramRun refused =
        run_scant({"export", folder + "/others", "--to", target, "-o", folder + out});
    EXPECT_NE(refused.status, 0);
    EXPECT_THAT(refused.errors, HasSubstr("_proj.weight: has groups of reordered columns"));
    EXPECT_FALSE(std::filesystem::exists(folder + out));
  }
}

TEST(ActOrder, ARefitIsRefusedBeforeItBegins) {
  const ProgramRun run = run_scant({"compress", embedded_model(), "-o", scratch_folder() + "/out",
                                    "--weights", "int4:g16", "--quantizer", "gptq-desc-act",
                                    "--calibration", embedded_calibration(), "--refit", "2"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.errors, HasSubstr("--refit: does not keep the column order"));
}

TEST(BlockInputs, StaticNvfp4AndMxGoToCompressedTensorsAndBack) {
  const std::string folder = scratch_folder();
  const Arguments nvfp4 = calibrated({"--weights", "nvfp4", "--activations", "nvfp4",
                                      "--activation-method", "static", "--quantizer", "rtn"});
  const Arguments mx = {"--weights", "mxfp4", "--activations", "mxfp8_e4m3", "--skip", "down_proj"};
  for (const auto& [name, how] : {std::pair{"/nvfp4", nvfp4}, {"/mx", mx}}) {
    Arguments to_packed = how;
    to_packed.insert(to_packed.end(), {"--to", "packed"});
    compress(embedded_model(), folder + name, to_packed);
    const std::string out = folder + name + "-out";
    export_to("compressed-tensors", folder + name, out);
    const json inputs =
        config_of(out)["quantization_config"]["config_groups"]["group_0"]["input_activations"];
    EXPECT_EQ(inputs["dynamic"], std::string(name) == "/nvfp4" ? json("local") : json(true));
    // What is stored is the reciprocal of the tensor scale: a last bit moves inputs to other codes.
    EXPECT_NEAR(perplexity_of(out) / perplexity_of(folder + name), 1.0, 5e-3);
  }
  const ProgramRun dynamic =
      run_scant({"compress", embedded_model(), "-o", folder + "/out", "--weights", "nvfp4",
                 "--activations", "nvfp4", "--to", "compressed-tensors"});
  EXPECT_NE(dynamic.status, 0);
  EXPECT_THAT(dynamic.errors, HasSubstr("--activation-method static"));
}

TEST(Conv1D, Gpt2GoesToGptqAndBackAndCompressedTensorsRefusesIt) {
  const std::string folder = scratch_folder();
  const std::string model = SCANT_SOURCE_DIR "/tests/goldens/models/gpt2";
  compress(model, folder + "/packed", {"--weights", "int4:g16:scale=fp16", "--to", "packed"});
  export_to("gptq", folder + "/packed", folder + "/out");
  export_to("dense", folder + "/packed", folder + "/values");
  export_to("dense", folder + "/out", folder + "/back");
  expect_same_file(folder + "/values", folder + "/back", "model.safetensors");
  const ProgramRun refused =
      run_scant({"export", folder + "/packed", "--to", "compressed-tensors", "-o", folder + "/x"});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.errors, HasSubstr("is of a Conv1D"));
  EXPECT_THAT(refused.errors, HasSubstr("--to gptq"));
}

}  // namespace
}  // namespace scant
