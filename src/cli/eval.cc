#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/input_option.h"
#include "cli/parse_option.h"
#include "cli/text_input.h"
#include "core/error.h"
#include "evaluate/perplexity.h"
#include "models/generate/input_mode.h"
#include "report/evaluation_report.h"

namespace scant {
namespace {

struct Options {
  std::string model;
  std::string reference;
  std::string text;
  WindowProtocol protocol;
  int64_t stride = 0;
  uint64_t seed = 0;
  std::string inputs = "fp32";
  bool json = false;
};

void run(Options options, Shell& shell) {
  if (options.stride != 0) options.protocol.stride = options.stride;
  const PackedInputs inputs = parse_option("--inputs", options.inputs, parse_packed_inputs);
  const auto model = Model::open(options.model);
  const InputMode weights(model->weights(), inputs);
  const TextWindows windows = text_windows(*model, options.text, options.protocol, shell.context());
  std::unique_ptr<Model> reference;
  std::optional<Subject> reference_subject;
  if (!options.reference.empty()) {
    reference = Model::open(options.reference);
    require_same_tokenizer(*model, *reference);
    reference_subject.emplace(*reference);
  }
  EvaluateOptions evaluate_options;
  evaluate_options.bootstrap_seed = options.seed;
  evaluate_options.task = "eval";
  const Evaluation evaluation =
      evaluate(Subject(*model, weights), reference_subject ? &*reference_subject : nullptr, windows,
               evaluate_options, shell.context());
  const EvaluationSubject subject{options.model, options.text, options.reference, options.protocol,
                                  model->activations().size()};
  shell.result(options.json ? evaluation_json(subject, evaluation)
                            : evaluation_text(subject, evaluation, shell.bold()));
}

}  // namespace

std::function<void(Shell&)> add_eval(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Hugging Face folder or GGUF file")->required();
  app.add_option("--text", options->text, "Text file to predict")->required();
  app.add_option("--reference", options->reference,
                 "Dense model to compare with: KL divergence and top-1 agreement");
  app.add_option("--window", options->protocol.window, "Tokens in a window")->capture_default_str();
  app.add_option("--stride", options->stride,
                 "Overlapping windows, one every N tokens; each token is scored once")
      ->check(CLI::PositiveNumber);
  app.add_option("--max-tokens", options->protocol.max_tokens,
                 "Use only the first N tokens of the text")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", options->seed, "Seed of the bootstrap")->capture_default_str();
  add_inputs_option(app, options->inputs);
  app.add_flag("--json", options->json, "One JSON object");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
