#include "compress/import.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "report/table.h"

namespace scant {
namespace {

struct Options {
  std::string model, out;
  bool force = false;
};

/// What became of each kind of tensor.
std::string kinds_table(const ImportResult& result, bool bold) {
  TextTable table({"stored as", ">tensors", "written as", ">size", ">before"});
  for (const ImportedKind& kind : result.kinds) {
    const char* how = kind.codes                    ? ", its codes"
                      : kind.stored == kind.written ? ", as it is"
                                                    : ", its values";
    table.add({kind.stored, std::to_string(kind.tensors), kind.written + how,
               bytes_text(static_cast<double>(kind.written_bytes)),
               bytes_text(static_cast<double>(kind.stored_bytes))});
  }
  return table.text(bold);
}

void run(const Options& options, Shell& shell) {
  const auto source = Checkpoint::open(options.model);
  const ImportResult result = import_model(*source, options.out, options.force, shell.context());
  shell.result(kinds_table(result, shell.bold()));
  shell.note(fmt::format("Wrote {} ({}, packed). Every command takes it as it does MODEL.\n",
                         options.out, bytes_text(static_cast<double>(result.written_bytes))));
}

}  // namespace

std::function<void(Shell&)> add_import(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model,
                 "Folder of compressed-tensors, GPTQ, AWQ, FP8 or bitsandbytes, or GGUF file")
      ->required();
  app.add_option("-o,--output", options->out,
                 "Folder to write: a packed one; it appears whole or not at all")
      ->required();
  app.add_flag("--force", options->force, "Replace OUT if it exists");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
