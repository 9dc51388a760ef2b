#include "compress/unpack.h"

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

void run(const Options& options, Shell& shell) {
  const auto packed = Checkpoint::open(options.model);
  const UnpackResult result = unpack_model(*packed, options.out, options.force, shell.context());
  shell.note(fmt::format(
      "Wrote {} ({}, {}): {} tensors that took {} packed. It loads in "
      "transformers as it is.\n",
      options.out, bytes_text(static_cast<double>(result.written_bytes)),
      result.widened ? "F32 where the source's type is not exact" : "in the source's type, exactly",
      result.tensors, bytes_text(static_cast<double>(result.packed_bytes))));
}

}  // namespace

std::function<void(Shell&)> add_unpack(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Folder that `scant compress --to packed` wrote")
      ->required();
  app.add_option("-o,--output", options->out,
                 "Folder to write: a dense one; it appears whole or not at all")
      ->required();
  app.add_flag("--force", options->force, "Replace OUT if it exists");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
