#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/study_files.h"
#include "cli/text_input.h"
#include "compress/interplay/advice.h"
#include "compress/interplay/analysis.h"
#include "compress/interplay/run_study.h"
#include "core/error.h"
#include "methods/joint/joint_solver.h"
#include "methods/method_names.h"
#include "report/study_summary.h"
#include "report/table.h"

namespace scant {
namespace {

struct Options {
  std::string model, text, calibration, out, store, sensitivity;
  std::vector<std::string> sparsity, formats, orders;
  WindowProtocol protocol{.max_tokens = 32768};
  StudyOptions study;
};

/// A list of spellings; none: what the default study has.
template <typename Parse, typename Value>
void read_list(const std::vector<std::string>& spellings, const char* option, Parse parse,
               std::vector<Value>& values) {
  if (spellings.empty()) return;
  values.clear();
  for (const std::string& spelling : spellings) {
    try {
      const Value value = parse(spelling);
      if (std::find(values.begin(), values.end(), value) != values.end()) {
        throw Error(option, "names " + spelling + " twice");
      }
      values.push_back(value);
    } catch (const Error& error) {
      throw Error(option, error.what());
    }
  }
}

StudyGrid grid_of(const Options& options) {
  StudyGrid grid = default_grid();
  read_list(options.sparsity, "--sparsity", SparsityPattern::parse, grid.sparsity);
  read_list(
      options.formats, "--formats",
      [](const std::string& s) { return NumberFormat::parse(s, Role::kWeight); }, grid.formats);
  read_list(options.orders, "--orders", parse_order, grid.orders);
  grid.activations = options.study.grid.activations;
  return grid;
}

std::string last_part(const std::string& path) {
  const std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
  return normal.has_filename() ? normal.filename().string()
                               : normal.parent_path().filename().string();
}

/// Empty for the data-free ones, which need no words.
std::string methods_text(const StepMethods& methods) {
  const StepMethods usual;
  if (methods.pruner == usual.pruner && methods.quantizer == usual.quantizer &&
      methods.joint == usual.joint) {
    return "";
  }
  return methods.pruner + ", " + methods.quantizer + "; joint: " + methods.joint;
}

void run(Options options, Shell& shell) {
  options.study.grid = grid_of(options);
  if (!options.sensitivity.empty()) options.study.sensitivity = parse_cell(options.sensitivity);
  const auto model = Model::open(options.model);
  const TextWindows text = text_windows(*model, options.text, options.protocol, shell.context());
  const TextWindows calibration =
      text_windows(*model, options.calibration, options.protocol, shell.context());
  check_study(*model, options.study);
  prepare_study_folder(options.out);
  const ContentStore store(options.store.empty() ? options.out + "/store" : options.store);
  StudySession session(*model, text, calibration, options.study, store, shell.context());
  const StudyEstimate expected = session.estimate();
  shell.note(fmt::format(
      "{} cells on {} tokens{}; expected time {}\n", expected.cells, text.tokens_used(),
      expected.known > 0 ? fmt::format(", {} of them known from before", expected.known) : "",
      duration_text(expected.seconds)));
  Study study = session.run();
  study.input.model = last_part(options.model);
  study.input.text = last_part(options.text);
  study.input.calibration = last_part(options.calibration);
  study.input.methods = methods_text(options.study.methods);
  const StudyAnalysis analysis = analyze(study);
  const std::vector<Advice> advice = advise(study, analysis);
  write_study(options.out, study, analysis, advice);
  shell.result(study_summary(study, analysis, advice, options.out, shell.bold()));
}

}  // namespace

std::function<void(Shell&)> add_interplay(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Hugging Face folder or GGUF file")->required();
  app.add_option("--text", options->text, "Text file to predict")->required();
  app.add_option("--calibration", options->calibration,
                 "Text file whose activations the layers' output errors are measured on")
      ->required();
  app.add_option("-o,--out", options->out, "Folder for the results; run again to resume")
      ->required();
  app.add_option("--sparsity", options->sparsity, "Patterns, with commas [50%,2:4]")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--formats", options->formats,
                 "Number formats, with commas [int8,int4,mxfp8_e4m3,mxfp6_e3m2,mxfp4,hbfp8,hbfp6,"
                 "hbfp4]")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--orders", options->orders,
                 "Orders, with commas [sparsify-first,quantize-first,joint]")
      ->delimiter(',')
      ->allow_extra_args(false);
  StepMethods& methods = options->study.methods;
  app.add_option("--pruner", methods.pruner, "How weights are pruned: " + names_of(all_pruners()))
      ->capture_default_str();
  app.add_option("--quantizer", methods.quantizer,
                 "How codes are chosen: " + names_of(all_quantizers()))
      ->capture_default_str();
  app.add_option("--joint", methods.joint,
                 "The method of the order joint: " + names_of(all_joint_solvers()))
      ->capture_default_str();
  app.add_flag("--activations", options->study.grid.activations,
               "Also every format with the inputs of the linear layers in the same format");
  app.add_option("--max-tokens", options->protocol.max_tokens,
                 "Use only the first N tokens of each text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--window", options->protocol.window, "Tokens in a window")->capture_default_str();
  app.add_option("--sensitivity", options->sensitivity,
                 "Rank the layers for one cell, for example 2:4+int4");
  app.add_option("--sensitivity-tokens", options->study.sensitivity_tokens,
                 "Tokens that the ranking reads")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--tensor", options->study.picture,
                 "The layer whose histograms are drawn [where most pairs swap]");
  app.add_option("--store", options->store, "Folder of finished cells [DIR/store]");
  app.add_option("--seed", options->study.seed, "Seed of bootstrap and stochastic rounding")
      ->capture_default_str();
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
