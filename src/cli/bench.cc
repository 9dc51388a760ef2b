#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/input_option.h"
#include "cli/parse_option.h"
#include "core/error.h"
#include "evaluate/speed.h"
#include "report/table.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model;
  std::vector<std::string> others;
  std::string kv = "fp32", inputs = "int8";
  SpeedOptions speed;
  bool json = false;
};

Json as_json(const std::string& path, const Speed& speed, const MachinePeak& peak) {
  return {{"model", path},
          {"prompt_tokens_per_second", speed.prompt_tokens_per_second},
          {"decode_tokens_per_second", speed.decode_tokens_per_second},
          {"bytes_per_token",
           {{"total", speed.touched.total()},
            {"weights", speed.touched.weights},
            {"scales", speed.touched.scales},
            {"head", speed.touched.head},
            {"kv", speed.touched.kv}}},
          {"share_of_bandwidth", speed.share_of_bandwidth(peak)},
          {"share_of_integer_rate", speed.share_of_integer_rate(peak)},
          {"load_seconds", speed.load_seconds},
          {"peak_memory", speed.peak_memory}};
}

std::string megabytes(int64_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6);
}

std::string table_text(const std::vector<std::pair<std::string, Speed>>& speeds,
                       const MachinePeak& peak, bool bold) {
  TextTable table({"model", ">decode tokens/s", ">of bandwidth", ">prompt tokens/s",
                   ">of int8 rate", ">MB per token", ">weights", ">scales", ">head", ">KV", ">load",
                   ">peak memory"});
  for (const auto& [path, speed] : speeds) {
    const TouchedBytes& touched = speed.touched;
    table.add({path, fmt::format("{:.1f}", speed.decode_tokens_per_second),
               fmt::format("{:.0f}%", 100 * speed.share_of_bandwidth(peak)),
               fmt::format("{:.1f}", speed.prompt_tokens_per_second),
               fmt::format("{:.0f}%", 100 * speed.share_of_integer_rate(peak)),
               megabytes(touched.total()), megabytes(touched.weights), megabytes(touched.scales),
               megabytes(touched.head), megabytes(touched.kv),
               fmt::format("{:.2f} s", speed.load_seconds),
               bytes_text(static_cast<double>(speed.peak_memory))});
  }
  return table.text(bold);
}

void run(Options options, Shell& shell) {
  options.speed.kv = parse_option("--kv", options.kv, parse_kv_type);
  options.speed.inputs = parse_option("--inputs", options.inputs, parse_packed_inputs);
  std::vector<std::string> paths = {options.model};
  paths.insert(paths.end(), options.others.begin(), options.others.end());
  std::vector<std::pair<std::string, Speed>> speeds;
  for (const std::string& path : paths) {
    if (shell.context().cancelled()) throw Error("scant bench", "stopped");
    speeds.emplace_back(path, measure_speed(path, options.speed, shell.context()));
  }
  const MachinePeak peak = measure_peak(shell.context().threads);
  if (options.json) {
    Json json = {{"threads", shell.context().threads.size()},
                 {"prompt", options.speed.prompt},
                 {"generated", options.speed.generated},
                 {"kv", options.kv},
                 {"inputs", options.inputs},
                 {"read_bytes_per_second", peak.read_bytes_per_second},
                 {"int8_operations_per_second", peak.int8_operations_per_second},
                 {"models", Json::array()}};
    for (const auto& [path, speed] : speeds) json["models"].push_back(as_json(path, speed, peak));
    return shell.result(json.dump(2) + "\n");
  }
  shell.result(table_text(speeds, peak, shell.bold()));
  shell.note(fmt::format(
      "{} tokens of prompt, {} generated after it, median of {} runs on {} threads. This machine "
      "reads {:.1f} GB/s and does {:.0f} G operations/s with 8-bit integers.\n",
      options.speed.prompt, options.speed.generated, options.speed.runs,
      shell.context().threads.size(), peak.read_bytes_per_second / 1e9,
      peak.int8_operations_per_second / 1e9));
}

}  // namespace

std::function<void(Shell&)> add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Hugging Face folder, dense or packed, or GGUF file")
      ->required();
  app.add_option("--compare", options->others, "Other models, in the same run")->expected(1, -1);
  app.add_option("--prompt", options->speed.prompt, "Tokens of the prompt")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--generate", options->speed.generated, "Tokens generated after it")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--runs", options->speed.runs, "The median of so many runs counts")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->capture_default_str();
  app.add_option("--kv", options->kv, "Type of cached keys and values: fp32, bf16 or int8")
      ->capture_default_str();
  add_inputs_option(app, options->inputs);
  app.add_flag("--json", options->json, "One JSON object");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
