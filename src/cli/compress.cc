#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "cli/activation_options.h"
#include "cli/calibration_options.h"
#include "cli/commands.h"
#include "cli/export_options.h"
#include "cli/parse_option.h"
#include "cli/table_options.h"
#include "cli/text_input.h"
#include "compress/export/export_target.h"
#include "compress/job.h"
#include "compress/transforms/transform_model.h"
#include "core/atomic_write.h"
#include "core/error.h"
#include "core/file_map.h"
#include "evaluate/perplexity.h"
#include "methods/joint/joint_solver.h"
#include "methods/method_names.h"
#include "report/compression_report.h"
#include "report/table.h"

namespace scant {
namespace {

struct Options {
  std::string model;
  std::string out;
  std::string sparsity, weights, order, recipe, text;
  ActivationOptions activations;
  TableOptions tables;
  std::string pruner, quantizer, joint;
  CalibrationOptions calibration;
  std::vector<std::string> only, skip;
  std::optional<uint64_t> seed;
  std::optional<int64_t> refit;
  std::string to = "dense";
  WindowProtocol protocol;
  bool dry_run = false, print_recipe = false, force = false, resume = false;
};

std::vector<NamePattern> name_patterns(const std::vector<std::string>& texts, const char* option) {
  std::vector<NamePattern> patterns;
  patterns.reserve(texts.size());
  for (const std::string& text : texts) patterns.emplace_back(text, option);
  return patterns;
}

/// The order and the methods that the flags mean. With calibration text and nothing said the
/// calibrated methods are meant, and with both a pattern and a format the joint one.
struct Methods {
  Order order = Order::kSparsifyFirst;
  StepMethods names;
};

Methods methods_of(const Options& options, bool both) {
  const bool separate = !options.pruner.empty() || !options.quantizer.empty();
  if (!options.joint.empty() && separate) {
    throw Error("--joint", "stands for both steps; expected no --pruner or --quantizer beside it");
  }
  if (!options.joint.empty() && !both) {
    throw Error("--joint", "has a meaning only with both --sparsity and --weights");
  }
  if (!options.order.empty() && !both) {
    throw Error("--order", "has a meaning only with both --sparsity and --weights");
  }
  Methods methods;
  if (!options.order.empty()) methods.order = parse_option("--order", options.order, parse_order);
  const bool joint_order = !options.order.empty() && methods.order == Order::kJoint;
  if (!options.joint.empty() && !options.order.empty() && !joint_order) {
    throw Error("--joint", "has no order; expected no --order beside it");
  }
  if (joint_order && separate) {
    throw Error("--order", "joint is one step; expected no --pruner or --quantizer beside it");
  }
  if (options.calibration.given()) {
    methods.names = {"sparsegpt", "gptq", joint_order ? "gain_mask" : "scant"};
    if (both && options.order.empty() && !separate) methods.order = Order::kJoint;
  }
  if (!options.joint.empty()) {
    methods.order = Order::kJoint;
    methods.names.joint = options.joint;
  }
  if (!options.pruner.empty()) methods.names.pruner = options.pruner;
  if (!options.quantizer.empty()) methods.names.quantizer = options.quantizer;
  return methods;
}

/// The steps that the flags mean, in their order of application.
std::vector<RecipeStep> steps_of(const Options& options) {
  std::optional<SparsityPattern> pattern;
  std::optional<NumberFormat> format;
  if (!options.sparsity.empty()) {
    pattern = parse_option("--sparsity", options.sparsity, SparsityPattern::parse);
  }
  if (!options.weights.empty()) {
    format = parse_option("--weights", options.weights, [](const std::string& text) {
      return NumberFormat::parse(text, Role::kWeight);
    });
  }
  if (!options.pruner.empty() && !pattern) {
    throw Error("--pruner", "has a meaning only with --sparsity");
  }
  if (!options.quantizer.empty() && !format) {
    throw Error("--quantizer", "has a meaning only with --weights");
  }
  const Methods methods = methods_of(options, pattern && format);
  return steps_for(pattern, format, methods.order, std::nullopt, methods.names);
}

/// Our own solver means a refit of every block, too.
int64_t default_refit(const std::vector<RecipeStep>& steps) {
  constexpr int64_t kEpochs = 4;
  const bool ours = std::ranges::any_of(steps, [](const RecipeStep& step) {
    return step.kind == StepKind::kJoint && step.method == "scant";
  });
  return ours ? kEpochs : 0;
}

Recipe recipe_of(const Options& options) {
  const bool flags = !options.sparsity.empty() || !options.weights.empty() ||
                     options.activations.any() || !options.order.empty() ||
                     !options.pruner.empty() || !options.quantizer.empty() ||
                     !options.joint.empty();
  Recipe recipe;
  if (!options.recipe.empty()) {
    if (flags)
      throw Error("--recipe",
                  "says what --sparsity, --weights, --order, --activations, --smooth, --rotate and "
                  "the methods say; expected one or the other");
    recipe = Recipe::parse_yaml(read_file(options.recipe), options.recipe);
  } else {
    recipe.steps = steps_of(options);
    recipe.refit_epochs = default_refit(recipe.steps);
    options.activations.apply(recipe, options.calibration.given());
    if (recipe.steps.empty() && recipe.transforms.empty() && !options.tables.any()) {
      throw Error("scant compress",
                  "nothing to do; expected --sparsity, --weights, --head, --embeddings, "
                  "--activations, --smooth, --rotate or --recipe");
    }
  }
  if (options.seed) recipe.seed = *options.seed;
  if (options.refit) recipe.refit_epochs = *options.refit;
  for (auto& pattern : name_patterns(options.only, "--only"))
    recipe.only.push_back(std::move(pattern));
  for (auto& pattern : name_patterns(options.skip, "--skip"))
    recipe.skip.push_back(std::move(pattern));
  return recipe;
}

Evaluation evaluate_model(const Model& model, const Model* reference, const TextWindows& windows,
                          const char* task, Shell& shell) {
  EvaluateOptions options;
  options.task = task;
  std::optional<Subject> reference_subject;
  if (reference != nullptr) reference_subject.emplace(*reference);
  return evaluate(Subject(model), reference_subject ? &*reference_subject : nullptr, windows,
                  options, shell.context());
}

void print_dry_run(const Model& model, const Recipe& recipe, const Calibration* calibration,
                   const Options& options, Shell& shell) {
  std::optional<Calibration> few;  // windows: what smooth measures does not change the plan
  if (calibration != nullptr) {
    few = *calibration;
    few->windows.resize(std::min<size_t>(few->windows.size(), 2));
  }
  const auto transformed = transform_model(model, recipe, few ? &*few : nullptr, shell.context());
  const CompressionPlan plan = plan_of(model, transformed.get(), recipe);
  const CostEstimate cost =
      estimate_cost(transformed ? *transformed : model, plan, calibration, shell.context());
  shell.result(plan_text(plan, shell.bold()));
  shell.result(fmt::format("Expected: {} and {} of memory besides the mapped file{}\n",
                           duration_text(cost.seconds),
                           bytes_text(static_cast<double>(cost.memory_bytes)),
                           options.text.empty() ? "" : ", before --text"));
  if (!options.text.empty()) {
    const TextWindows windows =
        text_windows(model, options.text, options.protocol, shell.context());
    const double seconds = estimate_evaluation_seconds(Subject(model), windows, shell.context());
    shell.result(fmt::format("Expected for --text: {} ({} tokens, both models)\n",
                             duration_text(2 * seconds), windows.tokens_used()));
  }
  shell.note("Dry run: nothing was written.\n");
}

void compare(const Model& model, const Options& options, Shell& shell) {
  const auto compressed = Model::open(options.out);
  const TextWindows windows = text_windows(model, options.text, options.protocol, shell.context());
  const Evaluation evaluation = evaluate_model(*compressed, &model, windows, "compare", shell);
  shell.result(fmt::format("\nPerplexity on {} ({} tokens, {}):\n", options.text, evaluation.tokens,
                           options.protocol.text()));
  TextTable table({"  model", ">perplexity", ">NLL"});
  table.add({"  " + options.model, fmt::format("{:.4f}", std::exp(evaluation.reference_nll->value)),
             fmt::format("{:.5f}", evaluation.reference_nll->value)});
  table.add({"  " + options.out, fmt::format("{:.4f}", evaluation.perplexity),
             fmt::format("{:.5f}", evaluation.nll.value)});
  shell.result(table.text(shell.bold()));
  shell.result(
      fmt::format("  KL divergence {:.5f} nats, same top-1 token at {:.2f}% of positions\n",
                  evaluation.divergence->kl.value, 100 * evaluation.divergence->top1_agreement));
}

void require_calibration_for_its_options(const Options& options) {
  if (options.calibration.given()) return;
  const CalibrationOptions& calibration = options.calibration;
  const char* option = options.resume                ? "--resume"
                       : calibration.offload         ? "--offload"
                       : !calibration.field.empty()  ? "--calibration-field"
                       : calibration.states != "f32" ? "--states"
                                                     : nullptr;
  if (option != nullptr) throw Error(option, "has a meaning only with --calibration");
}

void note_dense_output(const Recipe& recipe, const CompressionResult& result,
                       const Options& options, Shell& shell) {
  const bool online = std::ranges::any_of(
      recipe.transforms, [](const TransformStep& step) { return step.rotate_down; });
  shell.note(fmt::format(
      "Wrote {} ({} of simulated values, {}) in {}. {}\n", options.out,
      bytes_text(static_cast<double>(result.written_bytes)),
      result.widened ? "F32 where the source's type is not exact" : "in the source's type, exactly",
      duration_text(result.seconds),
      online ? "Only scant runs it: transformers does not rotate inputs."
             : "It loads in transformers as it is."));
}

CompressionResult compress_to_folder(const Model& model, const Recipe& recipe,
                                     const Calibration* calibration, const Options& options,
                                     Shell& shell) {
  const bool packed = options.to == "packed";
  const CompressionJob job{options.out, packed ? OutputKind::kPacked : OutputKind::kDense,
                           options.force, calibration, options.resume};
  CompressionResult result = compress_model(model, recipe, job, shell.context());
  shell.result(compression_text(result, shell.bold()));
  if (packed) {
    shell.note(
        fmt::format("Wrote {} ({}, packed) in {}. scant runs it as it is; `scant unpack` "
                    "makes a folder of it that transformers loads.\n",
                    options.out, bytes_text(static_cast<double>(result.written_bytes)),
                    duration_text(result.seconds)));
  } else {
    note_dense_output(recipe, result, options, shell);
  }
  return result;
}

/// A packed folder beside OUT, exported and removed: the codes are those of the two commands.
CompressionResult compress_to_target(const Model& model, const Recipe& recipe,
                                     const Calibration* calibration, const Options& options,
                                     Shell& shell) {
  const ExportTarget& target = find_export_target(options.to);
  const std::filesystem::path out(options.out);
  const std::string packed = (out.has_filename() ? out : out.parent_path()).string() + ".packed";
  check_output(target, options.out, options.force);  // refused now, not after the work
  ExportOptions how;
  how.overwrite = options.force;
  CompressionJob job{packed, OutputKind::kPacked, options.force, calibration, options.resume};
  job.check_plan = [&](const Model& transformed, const CompressionPlan& plan) {
    check_export(target, planned_export(transformed, plan, how));
  };
  CompressionResult result = compress_model(model, recipe, job, shell.context());
  shell.result(compression_text(result, shell.bold()));
  try {
    const auto compressed = Model::open(packed);
    const ExportResult exported =
        export_model(*compressed, target, options.out, how, shell.context());
    shell.note(export_text(options.out, target, exported));
  } catch (const Error&) {
    shell.remark(fmt::format("What was compressed stays in {}.\n", packed));
    throw;
  }
  std::filesystem::remove_all(packed);
  return result;
}

void run(const Options& options, Shell& shell) {
  Recipe recipe = recipe_of(options);
  if (options.print_recipe && !options.tables.any()) {  // needs no model
    shell.result(recipe.to_yaml());
    return;
  }
  if (options.model.empty()) throw Error("scant compress", "expected a MODEL to compress");
  const auto model = Model::open(options.model);
  options.tables.apply(recipe, *model);
  if (options.print_recipe) {
    shell.result(recipe.to_yaml());
    return;
  }
  if (options.out.empty() && !options.dry_run) {
    throw Error("--output", "missing; expected a folder to write (or --dry-run)");
  }
  require_calibration_for_its_options(options);
  std::optional<Calibration> read;
  if (options.calibration.given()) {
    read = read_calibration(*model, options.calibration, options.protocol.window, recipe.seed,
                            options.out, shell);
  }
  const Calibration* calibration = read ? &*read : nullptr;
  if (options.dry_run) {
    print_dry_run(*model, recipe, calibration, options, shell);
    return;
  }
  if (!options.text.empty()) {  // found now, not after the work
    text_windows(*model, options.text, options.protocol, shell.context());
  }
  const bool own = options.to == "dense" || options.to == "packed";
  const CompressionResult result =
      own ? compress_to_folder(*model, recipe, calibration, options, shell)
          : compress_to_target(*model, recipe, calibration, options, shell);
  shell.note(times_text(result));
  if (own && !result.inputs.empty()) {
    shell.note(
        "Activation formats are in scant.json: scant quantizes the inputs of these layers, "
        "transformers sees the weights only.\n");
  }
  if (!options.text.empty()) compare(*model, options, shell);
}

std::vector<std::string> output_kinds() {
  std::vector<std::string> kinds = {"packed"};
  for (const ExportTarget& target : all_export_targets()) kinds.emplace_back(target.name);
  return kinds;
}

}  // namespace

std::function<void(Shell&)> add_compress(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Hugging Face folder or GGUF file");
  app.add_option("-o,--output", options->out,
                 "Folder to write, or the one file of --to gguf; it appears whole or not at all");
  app.add_option("--sparsity", options->sparsity,
                 "Pattern: 50%, 50%:row, 2:4, N:M, 50%:block=RxC, 50%:rows, 50%:cols");
  app.add_option("--weights", options->weights,
                 "Number format of weights, ELEMENT[:GRANULARITY][:OPTION...], such as int4:g128 "
                 "(scant formats lists them)");
  app.add_option("--order", options->order, "sparsify-first (default), quantize-first or joint");
  options->tables.add_to(app);
  options->activations.add_to(app);
  app.add_option("--recipe", options->recipe,
                 "YAML file with steps and overrides instead of the flags");
  options->calibration.add_to(app);
  app.add_option("--pruner", options->pruner, "How weights are pruned: " + names_of(all_pruners()));
  app.add_option("--quantizer", options->quantizer,
                 "How codes are chosen: " + names_of(all_quantizers()));
  app.add_option("--joint", options->joint,
                 "One method for both instead: " + names_of(all_joint_solvers()));
  app.add_option("--refit", options->refit,
                 "Epochs over the calibration windows that fit each block's kept values, scales, "
                 "norms and biases to the dense block's outputs; 0: none (default: 4 with --joint "
                 "scant, else 0)")
      ->check(CLI::Range(int64_t{0}, kMostRefitEpochs));
  app.add_flag("--resume", options->resume,
               "Go on from the finished blocks that an interrupted run left beside OUT");
  app.add_option("--only", options->only,
                 "Only layers whose names match this regular expression (repeatable)");
  app.add_option("--skip", options->skip,
                 "Not the layers whose names match this regular expression (repeatable)");
  app.add_option("--seed", options->seed,
                 "Seed of stochastic rounding and of the choice of windows (default: the recipe's, "
                 "or 0)");
  app.add_option(
         "--to", options->to,
         "What OUT holds: dense, the simulated values as transformers loads them; packed, codes "
         "and positions as scant runs them; or what `scant export` writes: " +
             export_target_names())
      ->check(CLI::IsMember(output_kinds()))
      ->capture_default_str();
  app.add_option("--text", options->text, "Text file: report perplexity of MODEL and OUT on it");
  app.add_option("--window", options->protocol.window,
                 "Tokens in a window for --text and --calibration")
      ->capture_default_str();
  app.add_option("--max-tokens", options->protocol.max_tokens, "First N tokens of --text")
      ->check(CLI::PositiveNumber);
  app.add_flag("--dry-run", options->dry_run,
               "Print sizes, memory and time expected; write nothing");
  app.add_flag("--print-recipe", options->print_recipe,
               "Print the recipe that the flags mean, as YAML");
  app.add_flag("--force", options->force, "Replace OUT if it exists");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
