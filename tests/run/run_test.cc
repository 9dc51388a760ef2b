// `scant run` of the real program: greedy text is transformers', and what ends it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using testing::Not;

json goldens() {
  return json::parse(read_file(SCANT_SOURCE_DIR "/tests/goldens/generate/greedy.json"));
}

ProgramRun run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"run", embedded_model()});
  return run_scant(arguments);
}

json run_json(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const ProgramRun done = run(std::move(arguments));
  EXPECT_EQ(done.status, 0) << done.errors;
  return json::parse(done.output);
}

/// The model with a chat template and two end tokens.
std::string chat_model() {
  const fs::path path = scratch_folder() + "/model";
  fs::copy(embedded_model(), path);
  json config = json::parse(read_file(path / "tokenizer_config.json"));
  config["chat_template"] =
      "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}assistant:";
  fs::permissions(path / "tokenizer_config.json", fs::perms::owner_all);
  std::ofstream(path / "tokenizer_config.json") << config;
  return path;
}

TEST(Run, GreedyTextIsThatOfTransformers) {
  ASSERT_GE(goldens().size(), 4u);
  for (const json& golden : goldens()) {
    const std::string count = std::to_string(golden["continuation"].size());
    const json result = run_json({"-p", golden["prompt"], "--max-tokens", count});
    EXPECT_EQ(result["tokens"], golden["continuation"]);
    EXPECT_EQ(result["text"], golden["text"]);
    EXPECT_EQ(result["prompt_tokens"], golden["ids"].size());
    EXPECT_EQ(result["ended"], "max tokens");
    const ProgramRun streamed =
        run({"-p", golden["prompt"], "--max-tokens", count, "--threads", "3"});
    EXPECT_EQ(streamed.output, golden["text"].get<std::string>() + "\n");
    EXPECT_THAT(streamed.errors, HasSubstr("tokens/s"));
  }
}

TEST(Run, SmallerCachesGiveNearlyTheSameText) {
  const json golden = goldens()[0];
  const std::string count = std::to_string(golden["continuation"].size());
  json bytes;
  for (const char* kv : {"fp32", "bf16", "int8"}) {
    const json result = run_json({"-p", golden["prompt"], "--max-tokens", count, "--kv", kv});
    EXPECT_EQ(result["tokens"][0], golden["continuation"][0]) << kv;
    EXPECT_EQ(result["kv"], kv);
    bytes[kv] = result["kv_bytes"];
  }
  EXPECT_EQ(bytes["fp32"], 2 * bytes["bf16"].get<int64_t>());
  EXPECT_LT(bytes["int8"].get<int64_t>(), 0.6 * bytes["bf16"].get<double>());
}

TEST(Run, AStopStringThatStraddlesTokensEndsTheTextBeforeIt) {
  const json golden = goldens()[0];
  const auto text = golden["text"].get<std::string>();
  const std::string stop = text.substr(text.size() / 2, 7);
  const ProgramRun done =
      run({"-p", golden["prompt"], "-n", "96", "--stop", "@@never@@", "--stop", stop});
  EXPECT_EQ(done.output, text.substr(0, text.find(stop)) + "\n");
  EXPECT_THAT(done.errors, HasSubstr("stop string"));
}

TEST(Run, SamplingDependsOnTheSeedAndOnNothingElse) {
  const auto sample = [](const char* seed, const char* threads) {
    return run_json({"-p", "The", "-n", "40", "--temperature", "0.9", "--top-k", "50", "--top-p",
                     "0.95", "--min-p", "0.02", "--repetition-penalty", "1.1", "--seed", seed,
                     "--threads", threads})["text"];
  };
  const json first = sample("1", "1");
  EXPECT_EQ(first, sample("1", "3"));
  EXPECT_NE(first, sample("2", "1"));
}

TEST(Run, ThePromptMayComeFromStandardInput) {
  const std::string file = scratch_folder() + "/prompt.txt";
  std::ofstream(file) << "The old sailor";
  const std::string command = std::string(SCANT_BINARY_DIR) + "/scant -q run " + embedded_model() +
                              " -p - -n 5 < " + file + " > " + file + ".out";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_file(file + ".out"), run({"-q", "-p", "The old sailor", "-n", "5"}).output);
  EXPECT_EQ(run({"-q", "-p", "The old sailor", "-n", "5"}).errors, "");
}

TEST(Run, AChatGoesThroughTheTemplate) {
  const std::string model = chat_model();
  const ProgramRun chat = run_scant(
      {"run", model, "--chat", "-p", " Why? ", "--system", "Be brief.", "-n", "8", "--json"});
  ASSERT_EQ(chat.status, 0) << chat.errors;
  const json result = json::parse(chat.output);
  const json same = run_json({"-p", "system: Be brief.\nuser: Why?\nassistant:", "-n", "8"});
  EXPECT_EQ(result["tokens"], same["tokens"]);
  EXPECT_EQ(result["prompt_tokens"], same["prompt_tokens"]);
}

TEST(Run, EndTokensMayBeAListAndSamplingTheModelsDefault) {
  const json golden = goldens()[0];
  const std::string model = chat_model();
  const int32_t end = golden["continuation"][4];
  fs::permissions(model + "/generation_config.json", fs::perms::owner_all);
  std::ofstream(model + "/generation_config.json") << json{{"eos_token_id", {1, end}}};
  const ProgramRun ended = run_scant({"run", model, "-p", golden["prompt"], "--json"});
  const json result = json::parse(ended.output);
  EXPECT_EQ(result["ended"], "end of text");
  const auto tokens = result["tokens"].get<std::vector<int32_t>>();
  EXPECT_LE(tokens.size(), 4u);
  EXPECT_THAT(tokens, Not(testing::Contains(end)));
  std::ofstream(model + "/generation_config.json")
      << json{{"do_sample", true}, {"temperature", 0.5}, {"top_k", 7}, {"eos_token_id", 1}};
  const json sampled = json::parse(
      run_scant({"run", model, "-p", "The", "-n", "2", "--top-k", "9", "--json"}).output);
  EXPECT_EQ(sampled["sampling"]["temperature"], 0.5);
  EXPECT_EQ(sampled["sampling"]["top_k"], 9);
  std::ofstream(model + "/generation_config.json") << json{{"eos_token_id", 99999}};
  EXPECT_THAT(run_scant({"run", model, "-p", "The"}).errors, HasSubstr("eos_token_id has 99999"));
}

TEST(Run, TheContextEndsTheText) {
  const json result = run_json({"-p", "The old sailor", "--context", "20", "-n", "100"});
  EXPECT_EQ(result["ended"], "context full");
  EXPECT_EQ(result["prompt_tokens"].get<size_t>() + result["tokens"].size(), 21u);
}

TEST(Run, EveryRefusalIsOneLine) {
  const std::string long_text(8000, 'x');
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"-p", ""}, "--prompt: is empty"},
      {{"-p", long_text}, "the context holds 512"},
      {{"-p", "one two three four five", "--context", "3"}, "the context holds 3"},
      {{"-p", "x", "--context", "513"}, "--context: 513 is longer"},
      {{"-p", "x", "--chat"}, "has no chat template"},
      {{"-p", "x", "--system", "y"}, "--system"},
      {{"-p", "x", "--kv", "fp8"}, "expected fp32, bf16 or int8"},
      {{"-p", "x", "--temperature", "-1"}, "--temperature"},
      {{"-p", "x", "--top-p", "1.5"}, "--top-p"},
      {{"-p", "x", "--stop", ""}, "--stop"},
      {{}, "--prompt"},
  };
  for (const auto& [arguments, expected] : cases) {
    const ProgramRun done = run(arguments);
    EXPECT_EQ(done.status, 1) << expected;
    EXPECT_THAT(done.errors, HasSubstr(expected));
    EXPECT_EQ(std::count(done.errors.begin(), done.errors.end(), '\n'), 1) << done.errors;
  }
  const std::string model = chat_model();
  std::ofstream(model + "/chat_template.jinja") << "{% extends 'x' %}";
  EXPECT_THAT(run_scant({"run", model, "--chat", "-p", "x"}).errors,
              HasSubstr("chat_template.jinja: chat template: line 1: the tag extends is not "
                        "supported"));
  fs::remove(model + "/tokenizer.json");
  EXPECT_THAT(run_scant({"run", model, "-p", "x"}).errors, HasSubstr("holds no tokenizer"));
}

}  // namespace
}  // namespace scant
