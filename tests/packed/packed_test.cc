// Packed folders through the real program: written, inspected, evaluated, unpacked, damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
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

std::string fixture(const std::string& name) {
  return SCANT_SOURCE_DIR "/tests/goldens/models/" + name;
}

Arguments joined(Arguments first, const Arguments& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

void compress(const std::string& model, const std::string& out, const Arguments& how) {
  const ProgramRun run = run_scant(joined({"compress", model, "-o", out}, how));
  ASSERT_EQ(run.status, 0) << run.errors;
}

void expect_same_file(const std::string& one, const std::string& other, const std::string& name) {
  const std::string a = read_file(one + "/" + name);
  EXPECT_TRUE(a == read_file(other + "/" + name)) << name;
}

/// Compresses both ways: unpacking must give the dense folder, byte for byte.
void expect_unpacks_to_dense(const std::string& model, const Arguments& how) {
  const std::string folder = scratch_folder();
  compress(model, folder + "/packed", joined(how, {"--to", "packed"}));
  compress(model, folder + "/dense", how);
  const ProgramRun run = run_scant({"unpack", folder + "/packed", "-o", folder + "/unpacked"});
  ASSERT_EQ(run.status, 0) << run.errors;
  expect_same_file(folder + "/dense", folder + "/unpacked", "model.safetensors");
  expect_same_file(folder + "/dense", folder + "/unpacked", "config.json");
  const json said = json::parse(read_file(folder + "/packed/scant.json"));
  const json inspected =
      json::parse(run_scant({"inspect", folder + "/packed", "--json", "--no-statistics"}).output);
  EXPECT_EQ(inspected["bytes"], said["sizes"]["total_bytes"]);
}

TEST(Packed, UnpackingGivesTheDenseFolderByteForByte) {
  expect_unpacks_to_dense(embedded_model(), {"--sparsity", "2:4", "--weights", "int4:g128"});
  expect_unpacks_to_dense(embedded_model(), {"--sparsity", "50%", "--weights", "int3:g64:asym"});
  expect_unpacks_to_dense(embedded_model(), {"--sparsity", "50%:block=1x16", "--weights", "mxfp4"});
}

TEST(Packed, APrunedModelWithoutANumberFormatIsStoredInItsOwnType) {
  expect_unpacks_to_dense(embedded_model(), {"--sparsity", "2:4"});
}

TEST(Packed, TransposedWeightsComeBackAsTheyWere) {
  expect_unpacks_to_dense(fixture("gpt2"), {"--weights", "int8", "--sparsity", "2:4"});
}

TEST(Packed, HeadAndEmbeddingsArePackedWhenAskedFor) {
  expect_unpacks_to_dense(embedded_model(), {"--sparsity", "2:4", "--weights", "int4:g128",
                                             "--embeddings", "int8"});  // its head is tied
  expect_unpacks_to_dense(fixture("llama"), {"--head", "int8", "--embeddings", "int4:g32"});
  const ProgramRun run = run_scant({"compress", embedded_model(), "-o", scratch_folder() + "/out",
                                    "--head", "int8", "--embeddings", "int4"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.errors, HasSubstr("one tensor for both"));
}

TEST(Packed, CalibratedMethodsAndRefitsKeepTheirCodes) {
  const Arguments calibrated = {
      "--calibration", embedded_calibration(), "--samples", "8", "--window", "64"};
  expect_unpacks_to_dense(embedded_model(),
                          joined(calibrated, {"--weights", "int3:g64", "--quantizer", "awq"}));
  expect_unpacks_to_dense(embedded_model(),
                          joined(calibrated, {"--sparsity", "2:4", "--weights", "int4:g128",
                                              "--joint", "one-pass", "--refit", "1"}));
}

double perplexity_of(const std::string& model, const char* inputs) {
  const ProgramRun run = run_scant({"eval", model, "--text", embedded_text(), "--max-tokens",
                                    "4096", "--inputs", inputs, "--json"});
  EXPECT_EQ(run.status, 0) << run.errors;
  return json::parse(run.output)["perplexity"];
}

TEST(Packed, PerplexityIsThatOfTheSimulatedModel) {
  const std::string folder = scratch_folder();
  const Arguments how = {"--sparsity", "2:4", "--weights", "int4:g128"};
  compress(embedded_model(), folder + "/packed", joined(how, {"--to", "packed"}));
  compress(embedded_model(), folder + "/dense", how);
  const double simulated = perplexity_of(folder + "/dense", "fp32");
  EXPECT_NEAR(perplexity_of(folder + "/packed", "fp32") / simulated, 1.0, 1e-3);
  const double rounded = perplexity_of(folder + "/packed", "int8");
  EXPECT_NE(rounded, simulated);
  EXPECT_NEAR(rounded / simulated, 1.0, 3e-3);
}

TEST(Packed, QuantizedActivationsAreThoseOfTheSimulatedModel) {
  const std::string folder = scratch_folder();
  const Arguments how = {"--weights", "int8", "--activations", "int8"};
  compress(embedded_model(), folder + "/packed", joined(how, {"--to", "packed"}));
  compress(embedded_model(), folder + "/dense", how);
  const double simulated = perplexity_of(folder + "/dense", "fp32");
  for (const char* inputs : {"fp32", "int8"}) {
    EXPECT_NEAR(perplexity_of(folder + "/packed", inputs) / simulated, 1.0, 3e-3) << inputs;
  }
}

class DamagedFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_folder() + "/packed";
    compress(embedded_model(), folder_,
             {"--sparsity", "2:4", "--weights", "int4:g128", "--to", "packed"});
  }
  json config() const { return json::parse(read_file(folder_ + "/config.json")); }
  void write_config(const json& config) const {
    std::ofstream(folder_ + "/config.json") << config.dump();
  }
  /// The one line that is said.
  std::string refusal() const {
    const ProgramRun run = run_scant({"inspect", folder_});
    EXPECT_NE(run.status, 0);
    EXPECT_EQ(std::count(run.errors.begin(), run.errors.end(), '\n'), 1) << run.errors;
    return run.errors;
  }
  std::string folder_;
  const std::string tensor_ = "model.layers.0.mlp.up_proj.weight";
};

TEST_F(DamagedFolder, DescriptionsThatDoNotFitAreNamed) {
  const json sound = config();
  json changed = sound;
  changed["quantization_config"]["format_version"] = 99;
  write_config(changed);
  EXPECT_THAT(refusal(), HasSubstr("format_version is 99"));
  changed = sound;
  changed["quantization_config"]["tensors"][tensor_]["layout"] = "spiral";
  write_config(changed);
  EXPECT_THAT(refusal(), HasSubstr("there is no \"spiral\""));
  changed = sound;
  changed["quantization_config"]["tensors"][tensor_]["format"] = "int8";
  changed["quantization_config"]["tensors"][tensor_]["element"] = "int8";
  changed["quantization_config"]["tensors"][tensor_]["granularity"] = "channel";
  write_config(changed);
  EXPECT_THAT(refusal(), HasSubstr(tensor_ + ".codes"));
  changed = sound;
  changed["quantization_config"]["tensors"][tensor_]["shape"] = {1, -3};
  write_config(changed);
  EXPECT_THAT(refusal(), HasSubstr("shape is not a list"));
}

TEST_F(DamagedFolder, PositionsThatNoQuadHasAreNamed) {
  const std::string path = folder_ + "/model.safetensors";
  std::string bytes = read_file(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const json tensors = json::parse(bytes.substr(8, header));
  const json offsets = tensors[tensor_ + ".positions"]["data_offsets"];
  for (uint64_t i = offsets[0]; i < offsets[1].get<uint64_t>(); ++i) {
    bytes[8 + header + i] = static_cast<char>(0xff);
  }
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr(tensor_), HasSubstr("has rank 7")));
}

TEST(Export, OneGoWritesWhatTwoCommandsWrite) {
  for (const char* target : {"compressed-tensors", "gptq"}) {
    const std::string folder = scratch_folder();
    const Arguments how = {"--weights", "int4:g16:scale=fp16", "--sparsity", "2:4"};
    compress(embedded_model(), folder + "/packed", joined(how, {"--to", "packed"}));
    const ProgramRun run =
        run_scant({"export", folder + "/packed", "--to", target, "-o", folder + "/two"});
    ASSERT_EQ(run.status, 0) << run.errors;
    EXPECT_THAT(run.output, HasSubstr("42 tensors are pruned"));
    compress(embedded_model(), folder + "/one", joined(how, {"--to", target}));
    expect_same_file(folder + "/one", folder + "/two", "model.safetensors");
    expect_same_file(folder + "/one", folder + "/two", "config.json");
    expect_same_file(folder + "/one", embedded_model(), "tokenizer.json");
    EXPECT_FALSE(std::filesystem::exists(folder + "/one.packed"));
    EXPECT_NEAR(perplexity_of(folder + "/one", "fp32"), perplexity_of(folder + "/packed", "fp32"),
                1e-2);
  }
}

TEST(Export, OnnxInOneGoIsWhatTwoCommandsWriteAndADenseModelNeedsNoCodes) {
  const std::string folder = scratch_folder();
  const Arguments how = {"--weights", "int4:g32", "--activations", "int8"};
  compress(embedded_model(), folder + "/packed", joined(how, {"--to", "packed"}));
  const ProgramRun run =
      run_scant({"export", folder + "/packed", "--to", "onnx", "-o", folder + "/two"});
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr("42 tensors are codes"));
  compress(embedded_model(), folder + "/one", joined(how, {"--to", "onnx"}));
  expect_same_file(folder + "/one", folder + "/two", "model.onnx");
  expect_same_file(folder + "/one", folder + "/two", "model.onnx_data");
  expect_same_file(folder + "/one", embedded_model(), "tokenizer.json");
  expect_same_file(folder + "/one", embedded_model(), "generation_config.json");
  const ProgramRun dense = run_scant(
      {"export", embedded_model(), "--to", "onnx", "--dtype", "f32", "-o", folder + "/dense"});
  EXPECT_EQ(dense.status, 0) << dense.errors;
  EXPECT_GT(std::filesystem::file_size(folder + "/dense/model.onnx_data"),
            std::filesystem::file_size(folder + "/one/model.onnx_data"));
}

TEST(Export, GgufIsOneFileWithTokenizerThatComputesTheSame) {
  const std::string folder = scratch_folder();
  const Arguments how = {"--weights", "int4:g32:scale=fp16", "--sparsity", "2:4",
                         "--skip",    "down_proj",           "--head",     "int8:g32:scale=fp16"};
  compress(embedded_model(), folder + "/packed", joined(how, {"--to", "packed"}));
  const std::string one = folder + "/one/quill.gguf", two = folder + "/two/quill.gguf";
  const ProgramRun run = run_scant({"export", folder + "/packed", "--to", "gguf", "-o", two});
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr("Tensors by type: 6 BF16, 13 F32, 36 Q4_0, 1 Q8_0."));
  EXPECT_THAT(run.output, HasSubstr("36 tensors are pruned"));
  compress(embedded_model(), one, joined(how, {"--to", "gguf"}));
  EXPECT_TRUE(read_file(one) == read_file(two));
  EXPECT_FALSE(std::filesystem::exists(one + ".packed"));
  EXPECT_NEAR(perplexity_of(two, "fp32"), perplexity_of(folder + "/packed", "fp32"), 1e-3);
  const ProgramRun before = run_scant({"tokenize", embedded_model(), "--text", embedded_text()});
  EXPECT_EQ(run_scant({"tokenize", two, "--text", embedded_text()}).output, before.output);

  const ProgramRun again = run_scant({"export", folder + "/packed", "--to", "gguf", "-o", two});
  EXPECT_THAT(again.errors, HasSubstr("quill.gguf: already exists"));
  const ProgramRun into = run_scant({"export", folder + "/packed", "--to", "gguf", "-o", folder});
  EXPECT_THAT(into.errors,
              HasSubstr("whose name ends in .gguf; expected " + folder + "/model.gguf"));
  const ProgramRun rows = run_scant({"compress", embedded_model(), "-o", folder + "/x.gguf",
                                     "--weights", "int4:g32:scale=fp16", "--to", "gguf"});
  EXPECT_THAT(rows.errors,
              HasSubstr("down_proj.weight: has 688 inputs, which are no whole number"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/x.gguf"));
}

TEST(Export, ATargetIsAskedBeforeAnythingIsCompressed) {
  const std::string folder = scratch_folder();
  const ProgramRun run = run_scant({"compress", embedded_model(), "-o", folder + "/out",
                                    "--weights", "int4:g128", "--to", "compressed-tensors"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.errors, HasSubstr("down_proj.weight: is int4:g128, but its 688 inputs"));
  EXPECT_THAT(run.errors, HasSubstr("can hold: int4:g16"));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  EXPECT_THAT(
      run_scant({"export", embedded_model(), "--to", "stone", "-o", folder + "/out"}).errors,
      HasSubstr("expected one of dense, compressed-tensors, gptq"));
  EXPECT_THAT(run_scant({"export", "--list"}).output, HasSubstr("nvfp4-pack-quantized"));
}

TEST(Unpack, ADenseFolderIsRefused) {
  const ProgramRun run = run_scant({"unpack", embedded_model(), "-o", scratch_folder() + "/out"});
  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.errors, HasSubstr("holds no packed tensors"));
}

}  // namespace
}  // namespace scant
