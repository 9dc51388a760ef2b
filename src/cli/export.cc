#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/export_options.h"
#include "core/error.h"

namespace scant {
namespace {

struct Options {
  std::string model, out, to;
  ExportOptions target;
  bool list = false;
};

void run(const Options& options, Shell& shell) {
  if (options.list) {
    shell.result(export_table(shell.bold()));
    return;
  }
  if (options.model.empty()) throw Error("scant export", "expected a MODEL to export, or --list");
  if (options.to.empty()) throw Error("--to", "missing; expected one of " + export_target_names());
  if (options.out.empty()) throw Error("--output", "missing; expected what to write");
  const ExportTarget& target = find_export_target(options.to);
  const auto model = Model::open(options.model);
  const ExportResult result =
      export_model(*model, target, options.out, options.target, shell.context());
  shell.note(export_text(options.out, target, result));
}

}  // namespace

std::function<void(Shell&)> add_export(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model,
                 "Folder or GGUF file; for codes one of `scant compress --to packed`");
  app.add_option("--to", options->to, "Target: " + export_target_names());
  app.add_option("-o,--output", options->out, "What to write; it appears whole or not at all");
  app.add_flag("--list", options->list, "A table of what each target can hold");
  add_export_options(app, options->target);
  app.add_flag("--force", options->target.overwrite, "Replace OUT if it exists");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
