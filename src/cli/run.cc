#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/input_option.h"
#include "cli/parse_option.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "models/chat/chat_template.h"
#include "models/generate/end_tokens.h"
#include "models/generate/generator.h"
#include "models/generate/input_mode.h"
#include "models/tokenizer/utf8.h"
#include "report/table.h"

namespace scant {
namespace {

constexpr int64_t kContextWithoutLimit = 4096;  ///< for models that state no longest context

struct Options {
  std::string model;
  std::string prompt;
  std::string system;
  std::string kv = "fp32", inputs = "int8";
  int64_t context = 0;
  bool chat = false;
  bool json = false;
  GenerateOptions generate;
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k;
};

template <typename T>
void set_from(const nlohmann::json& config, const char* key, T& value) {
  if (config.contains(key) && config[key].is_number()) value = config[key].get<T>();
}

/// What generation_config.json says, where it asks for sampling; options of the command line above.
SamplerOptions sampler_options(const Options& options, const nlohmann::json& config) {
  SamplerOptions sampler = options.generate.sampler;
  set_from(config, "repetition_penalty", sampler.repetition_penalty);
  if (config.value("do_sample", nlohmann::json(false)) == nlohmann::json(true)) {
    sampler.temperature = 1;
    set_from(config, "temperature", sampler.temperature);
    set_from(config, "top_k", sampler.top_k);
    set_from(config, "top_p", sampler.top_p);
    set_from(config, "min_p", sampler.min_p);
  }
  if (options.temperature) sampler.temperature = *options.temperature;
  if (options.top_k) sampler.top_k = *options.top_k;
  if (options.top_p) sampler.top_p = *options.top_p;
  if (options.min_p) sampler.min_p = *options.min_p;
  if (options.repetition_penalty) sampler.repetition_penalty = *options.repetition_penalty;
  sampler.validate();
  return sampler;
}

std::string read_prompt(const Options& options) {
  std::string prompt = options.prompt;
  if (prompt == "-") {
    prompt.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  if (prompt.empty()) throw Error("--prompt", "is empty; expected a text to continue");
  return prompt;
}

std::vector<int32_t> prompt_ids(const Options& options, const Model& model,
                                const Tokenizer& tokenizer) {
  const std::string prompt = read_prompt(options);
  std::vector<int32_t> ids;
  if (options.chat) {
    std::vector<ChatMessage> messages;
    if (!options.system.empty()) messages.push_back({"system", options.system});
    messages.push_back({"user", prompt});
    const auto chat = ChatTemplate::load(model.checkpoint(), tokenizer);
    ids = tokenizer.encode(chat.render(messages), {.parse_special = true});
  } else {
    ids = tokenizer.encode(prompt, {.add_special = true, .parse_special = true});
  }
  for (const int32_t id : ids) {
    if (id >= model.facts().vocabulary) {
      throw Error(model.checkpoint().path(),
                  fmt::format("its tokenizer makes id {} but the model has {} tokens; the "
                              "tokenizer does not match the model",
                              id, model.facts().vocabulary));
    }
  }
  return ids;
}

/// How many positions there may be, and that the prompt leaves room for a token.
int64_t context_size(const Options& options, const Model& model, size_t prompt) {
  const int64_t positions = model.facts().positions;
  if (positions != 0 && options.context > positions) {
    throw Error("--context", fmt::format("{} is longer than the model's context; expected at most "
                                         "{}",
                                         options.context, positions));
  }
  const int64_t size = options.context != 0 ? options.context
                       : positions != 0     ? positions
                                            : kContextWithoutLimit;
  if (static_cast<int64_t>(prompt) > size) {
    throw Error(
        "--prompt",
        fmt::format("has {} tokens; the context holds {}{}", prompt, size,
                    size < positions ? fmt::format(" (--context up to {})", positions) : ""));
  }
  return size;
}

double rate(int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

struct Run {
  size_t prompt;
  double load_seconds;
  Generation generation;
  int64_t kv_bytes;
};

std::string summary(const Run& run) {
  const Generation& g = run.generation;
  return fmt::format(
      "prompt: {} tokens, {:.1f} tokens/s; generation: {} tokens, {:.1f} tokens/s; load: {:.2f} s; "
      "ended: {}\n",
      run.prompt, rate(static_cast<int64_t>(run.prompt), g.prompt_seconds), g.tokens.size(),
      rate(g.steps, g.generation_seconds), run.load_seconds, end_reason_name(g.reason));
}

std::string as_json(const Options& options, const SamplerOptions& sampler, int64_t context,
                    const Run& run) {
  const Generation& g = run.generation;
  nlohmann::ordered_json json;
  json["model"] = options.model;
  json["text"] = g.text;
  json["tokens"] = g.tokens;
  json["ended"] = end_reason_name(g.reason);
  json["prompt_tokens"] = run.prompt;
  json["prompt_seconds"] = g.prompt_seconds;
  json["prompt_tokens_per_second"] = rate(static_cast<int64_t>(run.prompt), g.prompt_seconds);
  json["generated_tokens"] = g.tokens.size();
  json["generation_seconds"] = g.generation_seconds;
  json["generation_tokens_per_second"] = rate(g.steps, g.generation_seconds);
  json["load_seconds"] = run.load_seconds;
  json["context"] = context;
  json["kv"] = options.kv;
  json["kv_bytes"] = run.kv_bytes;
  json["sampling"] = {{"temperature", sampler.temperature},
                      {"top_k", sampler.top_k},
                      {"top_p", sampler.top_p},
                      {"min_p", sampler.min_p},
                      {"repetition_penalty", sampler.repetition_penalty},
                      {"seed", sampler.seed}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void run(Options options, Shell& shell) {
  for (const std::string& stop : options.generate.stops) {
    if (stop.empty()) throw Error("--stop", "is empty; expected a text");
  }
  if (!options.system.empty() && !options.chat) {
    throw Error("--system", "is part of a chat; expected --chat too");
  }
  const KvType kv = parse_option("--kv", options.kv, parse_kv_type);
  const PackedInputs inputs = parse_option("--inputs", options.inputs, parse_packed_inputs);
  const Stopwatch load;
  const auto model = Model::open(options.model);
  const auto tokenizer = Tokenizer::load(model->checkpoint());
  options.generate.sampler = sampler_options(options, read_generation_config(model->checkpoint()));
  options.generate.ends = end_tokens(model->checkpoint(), *tokenizer);
  const std::vector<int32_t> prompt = prompt_ids(options, *model, *tokenizer);
  if (prompt.empty()) throw Error("--prompt", "has no tokens; expected a text to continue");
  KvCache cache(kv, context_size(options, *model, prompt.size()));
  const InputMode weights(model->weights(), inputs);
  const ResidentModel resident(*model, weights, shell.context());
  const double load_seconds = load.seconds();
  const Generation generation = generate(resident, *tokenizer, prompt, cache, options.generate,
                                         shell.context(), [&](std::string_view text) {
                                           if (!options.json) shell.result(text);
                                         });
  const Run done = {prompt.size(), load_seconds, generation, cache.bytes()};
  if (options.json) {
    shell.result(as_json(options, options.generate.sampler, cache.capacity(), done));
    return;
  }
  if (!generation.text.ends_with('\n')) shell.result("\n");
  shell.remark(summary(done));
}

void add_sampling(CLI::App& app, Options& options) {
  app.add_option("--temperature", options.temperature,
                 "Sample, with logits divided by this; 0: always the likeliest token (default: "
                 "generation_config.json of the model, else 0)");
  app.add_option("--top-k", options.top_k, "Sample from the K likeliest tokens; 0: all");
  app.add_option("--top-p", options.top_p,
                 "Sample from the fewest tokens whose probabilities sum to P; 1: all");
  app.add_option("--min-p", options.min_p,
                 "Sample from tokens at least P times as likely as the likeliest; 0: all");
  app.add_option("--repetition-penalty", options.repetition_penalty,
                 "Above 1: tokens that occurred become less likely");
  app.add_option("--seed", options.generate.sampler.seed, "Seed of the sampling")
      ->capture_default_str();
}

}  // namespace

std::function<void(Shell&)> add_run(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Hugging Face folder or GGUF file")->required();
  app.add_option("-p,--prompt", options->prompt, "Text to continue; - reads standard input")
      ->required();
  app.add_flag("--chat", options->chat,
               "The prompt is a message of a user: wrap it in the model's chat template");
  app.add_option("--system", options->system, "With --chat: the system message");
  app.add_option("-n,--max-tokens", options->generate.max_tokens, "Generate at most N tokens")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_sampling(app, *options);
  app.add_option("--stop", options->generate.stops,
                 "End before this text; may be given several times")
      ->take_all()
      ->allow_extra_args(false);
  add_inputs_option(app, options->inputs);
  app.add_option("--kv", options->kv, "How keys and values are stored: fp32, bf16 or int8")
      ->capture_default_str();
  app.add_option("--context", options->context,
                 "Most tokens of prompt and text together (default: the model's)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", options->json, "One JSON object at the end instead of a stream");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
