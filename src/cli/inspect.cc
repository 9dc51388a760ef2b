#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/description.h"
#include "core/error.h"
#include "evaluate/tensor_statistics.h"
#include "models/model.h"
#include "report/table.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model;
  bool json = false;
  bool fast = false;
};

struct Inspected {
  const StoredTensor* tensor;
  std::optional<TensorStatistics> statistics;
};

Json facts_json(const Model& model) {
  const ModelFacts& facts = model.facts();
  return {{"architecture", facts.architecture}, {"layers", facts.layers},
          {"hidden_size", facts.hidden},        {"heads", facts.heads},
          {"kv_heads", facts.kv_heads},         {"head_dim", facts.head_dim},
          {"feed_forward", facts.feed_forward}, {"vocabulary", facts.vocabulary},
          {"positions", facts.positions},       {"tied_head", facts.tied_head}};
}

Json statistics_json(const TensorStatistics& statistics) {
  Json json = {{"max", statistics.largest},      {"mean", statistics.mean},
               {"std", statistics.deviation},    {"kurtosis", statistics.kurtosis},
               {"zeros", statistics.zeros},      {"not_finite", statistics.not_finite},
               {"patterns", statistics.patterns}};
  if (statistics.outlier_channel >= 0) {
    json["outlier_channel"] = {{"index", statistics.outlier_channel},
                               {"ratio", statistics.outlier_ratio}};
  }
  return json;
}

std::string json_text(const Model& model, const std::vector<Inspected>& tensors, int64_t bytes,
                      const Json& description) {
  Json json;
  json["model"] = model.checkpoint().path();
  json["container"] = model.checkpoint().container();
  json["facts"] = facts_json(model);
  json["bytes"] = bytes;
  Json linears = Json::array();
  for (const LinearInfo& info : model.linears()) {
    linears.push_back({{"name", info.name},
                       {"kind", info.kind},
                       {"block", info.block},
                       {"outputs", info.outputs},
                       {"inputs", info.inputs}});
  }
  json["linears"] = std::move(linears);
  Json list = Json::array();
  for (const Inspected& entry : tensors) {
    Json tensor = {{"name", entry.tensor->name},
                   {"shape", entry.tensor->shape},
                   {"type", entry.tensor->type},
                   {"bytes", entry.tensor->bytes}};
    if (entry.statistics) tensor["statistics"] = statistics_json(*entry.statistics);
    list.push_back(std::move(tensor));
  }
  json["tensors"] = std::move(list);
  if (!description.is_null()) json["scant"] = description;
  return json.dump(2) + "\n";
}

std::string summary_text(const Model& model, int64_t bytes, const Json& description, bool bold) {
  const ModelFacts& facts = model.facts();
  int64_t parameters = 0;
  for (const StoredTensor& tensor : model.checkpoint().tensors())
    parameters += element_count(tensor.shape);
  const char* on = bold ? "\033[1m" : "";
  const char* off = bold ? "\033[0m" : "";
  std::string text = fmt::format("{}{}{}  {} in {}\n", on, model.checkpoint().path(), off,
                                 facts.architecture, model.checkpoint().container());
  text += fmt::format(
      "  {} parameters, {}; {} layers, hidden {}, feed-forward {}, {} heads ({} KV) of {}\n",
      count_text(static_cast<double>(parameters)), bytes_text(static_cast<double>(bytes)),
      facts.layers, facts.hidden, facts.feed_forward, facts.heads, facts.kv_heads, facts.head_dim);
  text +=
      fmt::format("  vocabulary {}, {} positions, {} output head\n", facts.vocabulary,
                  facts.positions == 0 ? std::string("unlimited") : std::to_string(facts.positions),
                  facts.tied_head ? "tied" : "own");
  if (!description.is_null()) {
    const auto number = [&](const char* key) {
      return description.contains(key) && description[key].is_number()
                 ? description[key].get<double>()
                 : 0.0;
    };
    const auto word = [&](const char* key) {
      return description.contains(key) && description[key].is_string()
                 ? description[key].get<std::string>()
                 : "-";
    };
    const size_t activations =
        description.contains("activations") ? description["activations"].size() : 0;
    const std::string how =
        description.contains("tensors")
            ? fmt::format("compressed by scant {}: {} layers at {:.3f} bits per weight, order {}",
                          word("scant_version"), description["tensors"].size(),
                          number("bits_per_weight"), word("order"))
            : fmt::format("imported by scant {}: its codes at {:.3f} bits per weight",
                          word("scant_version"), number("bits_per_weight"));
    text += fmt::format("  {}, activations of {} layers quantized\n", how, activations);
  }
  return text;
}

std::string tensor_table(const std::vector<Inspected>& tensors, bool bold) {
  TextTable table({"tensor", ">shape", "type", ">bytes", ">max", ">std", ">kurtosis", ">zeros",
                   "N:M", ">outlier channel"});
  for (const Inspected& entry : tensors) {
    std::vector<std::string> cells = {entry.tensor->name, shape_text(entry.tensor->shape),
                                      entry.tensor->type,
                                      bytes_text(static_cast<double>(entry.tensor->bytes))};
    if (entry.statistics) {
      const TensorStatistics& s = *entry.statistics;
      std::string patterns;
      for (const std::string& name : s.patterns) patterns += (patterns.empty() ? "" : " ") + name;
      cells.insert(cells.end(),
                   {fmt::format("{:.4g}", s.largest), fmt::format("{:.4g}", s.deviation),
                    fmt::format("{:.2f}", s.kurtosis), fmt::format("{:.1f}%", 100 * s.zeros),
                    patterns.empty() ? "-" : patterns,
                    s.outlier_channel < 0
                        ? "-"
                        : fmt::format("{} ({:.1f}x)", s.outlier_channel, s.outlier_ratio)});
      if (s.not_finite != 0) cells.back() += fmt::format("  {} NaN or Inf", s.not_finite);
    }
    table.add(std::move(cells));
  }
  return table.text(bold);
}

void run(const Options& options, Shell& shell) {
  const auto model = Model::open(options.model);
  const Checkpoint& checkpoint = model->checkpoint();
  const Json description = read_description(checkpoint);
  std::map<std::string, bool, std::less<>> transposed;
  for (const LinearInfo& info : model->linears()) transposed[info.tensor] = info.transposed;
  std::vector<Inspected> tensors;
  int64_t bytes = 0;
  int64_t done = 0;
  for (const StoredTensor& tensor : checkpoint.tensors()) bytes += tensor.bytes;
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    if (shell.context().cancelled()) throw Error(options.model, "stopped");
    Inspected entry{&tensor, std::nullopt};
    if (!options.fast) {
      const auto found = transposed.find(tensor.name);
      entry.statistics = tensor_statistics(
          checkpoint, tensor, found != transposed.end() && found->second, shell.context());
    }
    tensors.push_back(std::move(entry));
    done += tensor.bytes;
    shell.context().progress({"inspect", done, bytes, "bytes"});
  }
  if (options.json) {
    shell.result(json_text(*model, tensors, bytes, description));
    return;
  }
  shell.result(summary_text(*model, bytes, description, shell.bold()) + "\n" +
               tensor_table(tensors, shell.bold()));
}

}  // namespace

std::function<void(Shell&)> add_inspect(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Hugging Face folder or GGUF file")->required();
  app.add_flag("--json", options->json, "One JSON object instead of tables");
  app.add_flag("--no-statistics", options->fast, "Names, shapes and types only; reads no weights");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
