// End-to-end runs of the real program on the embedded model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "core/version.h"
#include "tests/program.h"

namespace scant {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

json run_json(std::vector<std::string> arguments) {
  const ProgramRun run = run_scant(arguments);
  EXPECT_EQ(run.status, 0) << run.errors;
  return json::parse(run.output);
}

std::vector<std::string> short_eval(const std::string& model, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"eval",         model,  "--text", embedded_text(),
                                        "--max-tokens", "4096", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Cli, VersionAndHelpAreOnStandardOutput) {
  EXPECT_EQ(run_scant({"--version"}).output, "scant " + std::string(kVersion) + "\n");
  const ProgramRun help = run_scant({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* command : {"inspect", "tokenize", "run", "eval", "compress", "unpack", "export",
                              "import", "compare", "report", "formats", "completion"}) {
    EXPECT_THAT(help.output, HasSubstr(command));
    const ProgramRun own = run_scant({command, "--help"});
    EXPECT_EQ(own.status, 0);
    EXPECT_THAT(own.output, HasSubstr("Examples:")) << command;
  }
}

TEST(Cli, EveryCompletionScriptKnowsCommandsAndOptions) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = run_scant({"completion", shell}).output;
    EXPECT_THAT(script, HasSubstr("compress"));
    EXPECT_THAT(script, HasSubstr("max-tokens"));
    EXPECT_THAT(script, HasSubstr("threads"));
  }
}

TEST(Cli, InspectShowsArchitectureShapesAndStatistics) {
  const json model = run_json({"inspect", embedded_model(), "--json"});
  EXPECT_EQ(model["facts"]["architecture"], "LlamaForCausalLM");
  EXPECT_EQ(model["facts"]["layers"], 6);
  EXPECT_EQ(model["linears"].size(), 42u);
  for (const json& tensor : model["tensors"]) {
    EXPECT_GT(tensor["statistics"]["max"].get<double>(), 0.0) << tensor["name"];
    EXPECT_GT(tensor["statistics"]["kurtosis"].get<double>(), 1.0) << tensor["name"];
  }
  const ProgramRun table = run_scant({"inspect", embedded_model()});
  EXPECT_THAT(table.output, HasSubstr("model.layers.5.mlp.down_proj.weight"));
  EXPECT_THAT(table.output, Not(HasSubstr("\033[")));
}

TEST(Cli, TokenizeRoundTripsAFile) {
  const std::string folder = scratch_folder();
  const json ids = run_json({"tokenize", embedded_model(), "--text", embedded_text()});
  EXPECT_GT(ids.size(), 10000u);
  std::ofstream(folder + "/ids.json") << ids.dump();
  const ProgramRun decoded =
      run_scant({"tokenize", embedded_model(), "--decode", "--text", folder + "/ids.json"});
  EXPECT_EQ(decoded.output, read_file(embedded_text()) + "\n");
}

TEST(Cli, SpecialTokensAreParsedOnlyOnRequest) {
  const json plain = run_json({"tokenize", embedded_model(), "<s>a"});
  const json parsed = run_json({"tokenize", embedded_model(), "<s>a", "--parse-special"});
  EXPECT_GT(plain.size(), parsed.size());
  EXPECT_EQ(parsed[0], 0);
}

TEST(Cli, EvalReportsEveryFigureItsProtocolAndAnInterval) {
  const json result = run_json(short_eval(embedded_model()));
  EXPECT_EQ(result["tokens"], 4096);
  EXPECT_EQ(result["windows"], 8);
  EXPECT_EQ(result["predictions"], 8 * 511);
  EXPECT_NEAR(std::exp(result["nll"].get<double>()), result["perplexity"].get<double>(), 1e-9);
  EXPECT_LT(result["perplexity_interval_95"][0], result["perplexity"]);
  EXPECT_GT(result["perplexity_interval_95"][1], result["perplexity"]);
  double sum = 0, predictions = 0;
  for (const double value : result["per_window"]["nll_sum"]) sum += value;
  for (const double value : result["per_window"]["predictions"]) predictions += value;
  EXPECT_EQ(result["per_window"]["nll_sum"].size(), 8u);
  EXPECT_EQ(predictions, 8 * 511);
  EXPECT_NEAR(sum / predictions, result["nll"].get<double>(), 1e-9);
  EXPECT_EQ(result["protocol"]["window"], 512);
  EXPECT_GT(result["tokens_per_second"].get<double>(), 0);
}

TEST(Cli, EvalDoesNotDependOnTheNumberOfThreads) {
  json first;
  for (const char* threads : {"1", "2", "3"}) {
    json result = run_json(short_eval(embedded_model(), {"--threads", threads}));
    result.erase("seconds");
    result.erase("tokens_per_second");
    if (first.is_null()) first = result;
    EXPECT_EQ(result, first) << threads;
  }
}

TEST(Cli, StridedEvalScoresEveryTokenAfterTheFirst) {
  const json result = run_json(short_eval(embedded_model(), {"--stride", "256"}));
  EXPECT_EQ(result["predictions"], 4095);
  EXPECT_LT(result["perplexity"], run_json(short_eval(embedded_model()))["perplexity"]);
}

TEST(Cli, AModelDoesNotDivergeFromItself) {
  const json result = run_json(short_eval(embedded_model(), {"--reference", embedded_model()}));
  EXPECT_NEAR(result["reference"]["kl_mean"].get<double>(), 0.0, 1e-6);
  EXPECT_EQ(result["reference"]["top1_agreement"], 1.0);
}

class CompressOrder : public testing::TestWithParam<const char*> {};

TEST_P(CompressOrder, WritesAFolderThatInspectAndEvalRead) {
  const std::string out = scratch_folder() + "/out";
  const ProgramRun run = run_scant({"compress", embedded_model(), "-o", out, "--sparsity", "2:4",
                                    "--weights", "int4:g128", "--order", GetParam(), "--text",
                                    embedded_text(), "--max-tokens", "4096"});
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr("down_proj"));
  EXPECT_THAT(run.output, HasSubstr("bits per weight"));
  EXPECT_THAT(run.output, HasSubstr("Perplexity on"));
  const json inspected = run_json({"inspect", out, "--json"});
  EXPECT_EQ(inspected["scant"]["order"], GetParam());
  for (const json& tensor : inspected["tensors"]) {
    if (!inspected["scant"]["tensors"].contains(tensor["name"].get<std::string>())) continue;
    EXPECT_THAT(tensor["statistics"]["patterns"].get<std::vector<std::string>>(),
                testing::Contains("2:4"));
  }
  const json result = run_json(short_eval(out, {"--reference", embedded_model()}));
  EXPECT_GT(result["perplexity"], result["reference"]["perplexity"]);
  EXPECT_GT(result["reference"]["kl_mean"], 0.0);
}

INSTANTIATE_TEST_SUITE_P(Orders, CompressOrder,
                         testing::Values("sparsify-first", "quantize-first", "joint"),
                         [](const auto& order) {
                           std::string name = order.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Cli, CompressGivesTheSameBytesForAnyNumberOfThreads) {
  const std::string folder = scratch_folder();
  for (const char* threads : {"1", "3"}) {
    const ProgramRun run =
        run_scant({"compress", embedded_model(), "-o", folder + "/" + threads, "--sparsity", "50%",
                   "--weights", "int4:stoch", "--seed", "5", "--threads", threads});
    ASSERT_EQ(run.status, 0) << run.errors;
  }
  for (const char* file : {"model.safetensors", "scant.json"}) {
    EXPECT_EQ(read_file(folder + "/1/" + file), read_file(folder + "/3/" + file)) << file;
  }
}

TEST(Cli, AFormatThatIsExactInTheSourceTypeKeepsThatType) {
  const std::string out = scratch_folder() + "/out";
  ASSERT_EQ(run_scant({"compress", embedded_model(), "-o", out, "--sparsity", "2:4"}).status, 0);
  EXPECT_EQ(json::parse(read_file(out + "/config.json"))["torch_dtype"], "bfloat16");
  const std::string wide = scratch_folder() + "/wide";
  ASSERT_EQ(run_scant({"compress", embedded_model(), "-o", wide, "--weights", "int8"}).status, 0);
  EXPECT_EQ(json::parse(read_file(wide + "/config.json"))["torch_dtype"], "float32");
}

TEST(Cli, ActivationFormatsTravelInScantJsonAndChangeEval) {
  const std::string folder = scratch_folder();
  const ProgramRun run =
      run_scant({"compress", embedded_model(), "-o", folder + "/w", "--weights", "int8"});
  ASSERT_EQ(run.status, 0) << run.errors;
  const ProgramRun both = run_scant({"compress", embedded_model(), "-o", folder + "/wa",
                                     "--weights", "int8", "--activations", "int4"});
  ASSERT_EQ(both.status, 0) << both.errors;
  EXPECT_THAT(both.output, HasSubstr("transformers sees the weights only"));
  EXPECT_EQ(read_file(folder + "/w/model.safetensors"),
            read_file(folder + "/wa/model.safetensors"));
  const json weights = run_json(short_eval(folder + "/w"));
  const json activations = run_json(short_eval(folder + "/wa"));
  EXPECT_EQ(activations["quantized_activation_layers"], 42);
  EXPECT_GT(activations["perplexity"].get<double>(), weights["perplexity"].get<double>() * 1.01);
}

std::vector<std::string> measured(const std::string& out, std::vector<std::string> more) {
  std::vector<std::string> arguments = {
      "compress",      embedded_model(), "-o", out,        "--calibration",
      embedded_text(), "--samples",      "6",  "--window", "128"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Cli, MeasuredScalesOfActivationsTravelWithTheModel) {
  const std::string folder = scratch_folder();
  const std::string layer = "model.layers.0.mlp.down_proj";
  const ProgramRun fixed =
      run_scant(measured(folder + "/static", {"--activations", "int8:tensor"}));
  ASSERT_EQ(fixed.status, 0) << fixed.errors;
  const json scale = json::parse(read_file(folder + "/static/scant.json"))["activations"][layer];
  EXPECT_EQ(scale["method"], "static");
  EXPECT_GT(scale["scale"].get<double>(), 0.0);
  const ProgramRun cross = run_scant(
      measured(folder + "/cross", {"--activations", "int8", "--activation-method", "crossquant"}));
  ASSERT_EQ(cross.status, 0) << cross.errors;
  EXPECT_TRUE(std::filesystem::exists(folder + "/cross/scant.safetensors"));
  const double dense = run_json(short_eval(embedded_model()))["perplexity"];
  for (const char* out : {"/static", "/cross"}) {
    const json result = run_json(short_eval(folder + out));
    EXPECT_EQ(result["quantized_activation_layers"], 42);
    EXPECT_NE(result["perplexity"].get<double>(), dense);
    EXPECT_LT(result["perplexity"].get<double>(), 1.1 * dense) << out;
  }
  std::filesystem::remove(folder + "/cross/scant.safetensors");
  EXPECT_THAT(run_scant({"inspect", folder + "/cross"}).errors, HasSubstr("scant.safetensors"));
}

TEST(Cli, TransformsAloneKeepWhatTheModelComputes) {
  const std::string folder = scratch_folder();
  const ProgramRun run =
      run_scant(measured(folder + "/out", {"--rotate", "residual+down", "--smooth", "0.5"}));
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr("The transforms make"));
  const json config = json::parse(read_file(folder + "/out/config.json"));
  EXPECT_EQ(config["torch_dtype"], "float32");
  EXPECT_EQ(json::parse(read_file(folder + "/out/scant.json"))["rotations"].size(), 6u);
  const json result = run_json(short_eval(folder + "/out", {"--reference", embedded_model()}));
  EXPECT_LT(result["reference"]["kl_mean"].get<double>(), 1e-6);
  EXPECT_GT(result["reference"]["top1_agreement"].get<double>(), 0.999);
  EXPECT_THAT(
      run_scant({"compress", embedded_model(), "-o", folder + "/no", "--smooth", "0.5"}).errors,
      HasSubstr("--calibration"));
}

TEST(Cli, TheRecipeThatFlagsMeanGivesTheSameModel) {
  const std::string folder = scratch_folder();
  const std::vector<std::string> flags = {
      "--sparsity",    "4:8",  "--weights", "int4:g64:mse", "--order", "quantize-first",
      "--activations", "int8", "--skip",    "down_proj",    "--seed",  "3"};
  std::vector<std::string> print = {"compress", embedded_model(), "--print-recipe"};
  print.insert(print.end(), flags.begin(), flags.end());
  const ProgramRun recipe = run_scant(print);
  ASSERT_EQ(recipe.status, 0) << recipe.errors;
  std::ofstream(folder + "/recipe.yaml") << recipe.output;
  std::vector<std::string> direct = {"compress", embedded_model(), "-o", folder + "/a"};
  direct.insert(direct.end(), flags.begin(), flags.end());
  ASSERT_EQ(run_scant(direct).status, 0);
  ASSERT_EQ(run_scant({"compress", embedded_model(), "-o", folder + "/b", "--recipe",
                       folder + "/recipe.yaml"})
                .status,
            0);
  EXPECT_EQ(read_file(folder + "/a/model.safetensors"), read_file(folder + "/b/model.safetensors"));
  EXPECT_EQ(read_file(folder + "/a/scant.json"), read_file(folder + "/b/scant.json"));
}

TEST(Cli, OnlyAndSkipChooseLayersByName) {
  const std::string out = scratch_folder() + "/out";
  ASSERT_EQ(run_scant({"compress", embedded_model(), "-o", out, "--weights", "int8", "--only",
                       "mlp", "--skip", "layers\\.0\\."})
                .status,
            0);
  const json description = json::parse(read_file(out + "/scant.json"));
  EXPECT_EQ(description["tensors"].size(), 5u * 3u);
}

TEST(Cli, ADryRunWritesNothingAndPredictsTheSizeOfTheRun) {
  const std::string folder = scratch_folder();
  const std::vector<std::string> flags = {"compress",      embedded_model(), "-o",
                                          folder + "/out", "--sparsity",     "50%",
                                          "--weights",     "int4:g32"};
  std::vector<std::string> dry = flags;
  dry.push_back("--dry-run");
  const ProgramRun prediction = run_scant(dry);
  ASSERT_EQ(prediction.status, 0) << prediction.errors;
  EXPECT_FALSE(std::filesystem::exists(folder + "/out"));
  const ProgramRun real = run_scant(flags);
  const auto totals = [](const std::string& text) {
    return text.substr(text.find("Compressed layers"),
                       text.find("Whole model") - text.find("Compressed layers"));
  };
  EXPECT_EQ(totals(prediction.output), totals(real.output));
  EXPECT_THAT(prediction.output, HasSubstr("of memory"));
}

std::vector<std::string> calibrated(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"compress",
                                        embedded_model(),
                                        "-o",
                                        out,
                                        "--calibration",
                                        embedded_calibration(),
                                        "--sparsity",
                                        "2:4",
                                        "--window",
                                        "64",
                                        "--samples",
                                        "16"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Cli, CalibratedMethodsBeatDataFreeOnesAndSayWhatTheyDid) {
  const std::string folder = scratch_folder();
  ASSERT_EQ(run_scant({"compress", embedded_model(), "-o", folder + "/free", "--sparsity", "2:4",
                       "--weights", "int4:g64"})
                .status,
            0);
  const double data_free = run_json(short_eval(folder + "/free"))["perplexity"];
  const std::vector<std::vector<std::string>> methods = {
      {}, {"--joint", "one-pass"}, {"--pruner", "wanda", "--quantizer", "gptq"}};
  for (const auto& method : methods) {
    std::vector<std::string> arguments = calibrated(folder + "/out", {"--weights", "int4:g64"});
    arguments.insert(arguments.end(), method.begin(), method.end());
    const ProgramRun run = run_scant(arguments);
    ASSERT_EQ(run.status, 0) << run.errors;
    EXPECT_THAT(run.output, HasSubstr("output error"));
    EXPECT_LT(run_json(short_eval(folder + "/out"))["perplexity"].get<double>(), data_free)
        << run.output;
    const json scant = json::parse(read_file(folder + "/out/scant.json"));
    const json& layer = scant["tensors"]["model.layers.0.mlp.up_proj.weight"];
    EXPECT_EQ(layer["method"], method.empty()       ? "scant"
                               : method.size() == 2 ? "one-pass"
                                                    : "wanda, gptq");
    EXPECT_GT(layer["error"]["output_relative"].get<double>(), 0.0);
    EXPECT_FALSE(std::filesystem::exists(folder + "/out.blocks"));
    std::filesystem::remove_all(folder + "/out");
  }
}

/// Type and bytes of a tensor in FOLDER/model.safetensors.
std::pair<std::string, std::string> stored(const std::string& folder, const std::string& tensor) {
  const std::string file = read_file(folder + "/model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof header);
  const json entry = json::parse(file.substr(sizeof header, header))[tensor];
  const auto offsets = entry["data_offsets"].get<std::vector<size_t>>();
  return {entry["dtype"],
          file.substr(sizeof header + header + offsets[0], offsets[1] - offsets[0])};
}

TEST(Cli, ARefitChangesNormsInTheirTypeAndSaysWhatItBrought) {
  const std::string out = scratch_folder() + "/out";
  const ProgramRun run =
      run_scant(calibrated(out, {"--pruner", "wanda", "--only", "up_proj", "--refit", "1"}));
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr("Refit of blocks"));
  EXPECT_THAT(run.errors + run.output, HasSubstr("Time: blocks forward"));
  const json refit = json::parse(read_file(out + "/scant.json"))["refit"];
  EXPECT_EQ(refit["epochs"], 1);
  ASSERT_EQ(refit["blocks"].size(), 6u);
  EXPECT_LT(refit["blocks"][0]["after"].get<double>(), refit["blocks"][0]["before"].get<double>());
  const auto before = stored(embedded_model(), "model.layers.0.input_layernorm.weight");
  const auto after = stored(out, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(after.first, before.first) << "the type";
  EXPECT_EQ(after.second.size(), before.second.size());
  EXPECT_NE(after.second, before.second);
}

TEST(Cli, CalibrationIsOnRecordAndAJsonlFileOfTheSameTextGivesTheSameBytes) {
  const std::string folder = scratch_folder();
  const std::string text = read_file(embedded_calibration());
  const size_t half = text.find("\n\n", text.size() / 2);
  std::ofstream(folder + "/text.jsonl") << json{{"id", 1}, {"body", text.substr(0, half)}} << "\n\n"
                                        << json{{"body", text.substr(half + 2)}} << "\n";
  std::vector<std::string> arguments = calibrated(folder + "/a", {"--pruner", "wanda"});
  ASSERT_EQ(run_scant(arguments).status, 0);
  arguments[3] = folder + "/b/";
  arguments[5] = folder + "/text.jsonl";
  arguments.insert(arguments.end(), {"--calibration-field", "body", "--offload"});
  const ProgramRun run = run_scant(arguments);
  ASSERT_EQ(run.status, 0) << run.errors;
  EXPECT_TRUE(read_file(folder + "/a/model.safetensors") ==
              read_file(folder + "/b/model.safetensors"));
  json a = json::parse(read_file(folder + "/a/scant.json"))["calibration"];
  const json b = json::parse(read_file(folder + "/b/scant.json"))["calibration"];
  EXPECT_EQ(a["file"], "calibration.txt");
  EXPECT_EQ(a["windows"], 16);
  EXPECT_EQ(a["window"], 64);
  EXPECT_EQ(a["seed"], 0);
  EXPECT_EQ(a["propagate"], "compressed");
  EXPECT_EQ(a["states"], "f32");
  a["file"] = "text.jsonl";
  EXPECT_EQ(a, b) << "the same tokens have the same fingerprint";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 3);
}

TEST(Cli, ADryRunOfACalibratedMethodWritesNothing) {
  const std::string folder = scratch_folder();
  const ProgramRun run = run_scant(calibrated(folder + "/out", {"--dry-run"}));
  EXPECT_EQ(run.status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr("sparsegpt"));
  EXPECT_THAT(run.output, HasSubstr("Expected: "));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(Cli, QuietPrintsResultsOnly) {
  const std::string out = scratch_folder() + "/out";
  const ProgramRun run =
      run_scant({"compress", embedded_model(), "-o", out, "--weights", "int8", "--quiet"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.output, Not(HasSubstr("Wrote")));
  EXPECT_EQ(run.errors, "");
}

TEST(Cli, AForcedInstructionSetGivesNearlyTheSamePerplexity) {
  const json best = run_json(short_eval(embedded_model()));
  const ProgramRun portable = run_scant(short_eval(embedded_model()), {"SCANT_FORCE_ISA=portable"});
  ASSERT_EQ(portable.status, 0) << portable.errors;
  EXPECT_NEAR(json::parse(portable.output)["nll"].get<double>(), best["nll"].get<double>(), 1e-5);
  EXPECT_EQ(run_scant({"formats"}, {"SCANT_FORCE_ISA=sse9"}).status, 1);
}

}  // namespace
}  // namespace scant
