#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/description.h"
#include "cli/text_input.h"
#include "core/error.h"
#include "evaluate/perplexity.h"
#include "report/table.h"

namespace scant {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> others;
  std::string text;
  WindowProtocol protocol;
  uint64_t seed = 0;
  bool json = false;
};

struct Compared {
  std::string name;
  std::optional<double> bits_per_weight;
  Evaluation evaluation;
  Interval nll_difference;  ///< to the dense model, paired
};

std::string text_of(const Options& options, const Evaluation& first,
                    const std::vector<Compared>& rows, bool bold) {
  TextTable table({"model", ">bits/weight", ">perplexity", ">95% interval", ">NLL - dense",
                   ">95%, paired", ">KL", ">same top-1"});
  const Metric& dense = *first.reference_nll;
  const Interval nll = bootstrap_mean(dense, options.seed);
  table.add({options.model, "-", fmt::format("{:.3f}", std::exp(dense.value)),
             fmt::format("{:.2f} to {:.2f}", std::exp(nll.low), std::exp(nll.high)), "-", "-", "-",
             "-"});
  for (const Compared& row : rows) {
    const Evaluation& e = row.evaluation;
    table.add(
        {row.name, row.bits_per_weight ? fmt::format("{:.3f}", *row.bits_per_weight) : "-",
         fmt::format("{:.3f}", e.perplexity),
         fmt::format("{:.2f} to {:.2f}", e.perplexity_interval.low, e.perplexity_interval.high),
         fmt::format("{:+.4f}", e.nll.value - dense.value),
         fmt::format("{:+.4f} to {:+.4f}", row.nll_difference.low, row.nll_difference.high),
         fmt::format("{:.4f}", e.divergence->kl.value),
         fmt::format("{:.1f}%", 100 * e.divergence->top1_agreement)});
  }
  return table.text(bold) +
         fmt::format("{} tokens of {}, {}\n", first.tokens, options.text, options.protocol.text());
}

std::string json_of(const Options& options, const Evaluation& first,
                    const std::vector<Compared>& rows) {
  nlohmann::ordered_json json;
  json["text"] = options.text;
  json["tokens"] = first.tokens;
  json["protocol"] = options.protocol.text();
  json["dense"] = {{"model", options.model},
                   {"nll", first.reference_nll->value},
                   {"perplexity", std::exp(first.reference_nll->value)}};
  json["models"] = nlohmann::ordered_json::array();
  for (const Compared& row : rows) {
    const Evaluation& e = row.evaluation;
    json["models"].push_back(
        {{"model", row.name},
         {"bits_per_weight",
          row.bits_per_weight ? nlohmann::json(*row.bits_per_weight) : nlohmann::json()},
         {"perplexity", e.perplexity},
         {"perplexity_interval_95", {e.perplexity_interval.low, e.perplexity_interval.high}},
         {"nll", e.nll.value},
         {"nll_difference", e.nll.value - first.reference_nll->value},
         {"nll_difference_interval_95", {row.nll_difference.low, row.nll_difference.high}},
         {"kl_mean", e.divergence->kl.value},
         {"kl_p99", e.divergence->kl_p99},
         {"top1_agreement", e.divergence->top1_agreement}});
  }
  return json.dump(2) + "\n";
}

void run(const Options& options, Shell& shell) {
  const auto dense = Model::open(options.model);
  const TextWindows windows = text_windows(*dense, options.text, options.protocol, shell.context());
  std::vector<std::unique_ptr<Model>> models;
  for (const std::string& path : options.others) {  // all faults before the work
    models.push_back(Model::open(path));
    require_same_tokenizer(*models.back(), *dense);
  }
  const Subject reference(*dense);
  std::vector<Subject> subjects;
  subjects.reserve(models.size());
  for (const auto& model : models) subjects.emplace_back(*model);
  EvaluateOptions evaluate_options;
  evaluate_options.bootstrap_seed = options.seed;
  evaluate_options.task = "compare";
  // The hidden states of all models are kept at once.
  evaluate_options.batch =
      std::max<int64_t>(2, evaluate_options.batch / static_cast<int64_t>(models.size()));
  std::vector<Evaluation> evaluations =
      evaluate_all(subjects, &reference, windows, evaluate_options, shell.context());
  std::vector<Compared> rows;
  for (size_t i = 0; i < models.size(); ++i) {
    Compared row;
    row.name = options.others[i];
    row.bits_per_weight = described_bits_per_weight(models[i]->checkpoint());
    row.evaluation = std::move(evaluations[i]);
    row.nll_difference =
        bootstrap_difference(row.evaluation.nll, *row.evaluation.reference_nll, options.seed);
    rows.push_back(std::move(row));
  }
  const Evaluation& first = rows.front().evaluation;
  shell.result(options.json ? json_of(options, first, rows)
                            : text_of(options, first, rows, shell.bold()));
}

}  // namespace

std::function<void(Shell&)> add_compare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "The dense model")->required();
  app.add_option("OTHER", options->others, "Models made from it")->required();
  app.add_option("--text", options->text, "Text file to predict")->required();
  app.add_option("--window", options->protocol.window, "Tokens in a window")->capture_default_str();
  app.add_option("--max-tokens", options->protocol.max_tokens,
                 "Use only the first N tokens of the text")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", options->seed, "Seed of the bootstrap")->capture_default_str();
  app.add_flag("--json", options->json, "One JSON object");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
