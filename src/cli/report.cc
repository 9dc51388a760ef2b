#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "core/atomic_write.h"
#include "core/error.h"
#include "core/file_map.h"
#include "report/study_page.h"

namespace scant {
namespace {

struct Options {
  std::vector<std::string> studies;
  std::string output;
};

std::string study_file(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / "interplay.json";
  if (!std::filesystem::is_directory(folder)) {
    throw Error(folder, "no such folder; expected one that `scant interplay` wrote");
  }
  if (!std::filesystem::exists(path)) {
    throw Error(path.string(), "no such file; expected the result of `scant interplay`");
  }
  return path.string();
}

void run(const Options& options, Shell& shell) {
  const std::string first = study_file(options.studies[0]);
  std::string output = options.output;
  std::string page;
  if (options.studies.size() == 1) {
    if (output.empty()) {
      output = (std::filesystem::path(options.studies[0]) / "report.html").string();
    }
    page = study_page(read_file(first), first);
  } else {
    if (output.empty()) output = "comparison.html";
    const std::string second = study_file(options.studies[1]);
    page = comparison_page(read_file(first), read_file(second), first, second);
  }
  write_file_atomic(output, page);
  shell.note(fmt::format("Wrote {}\n", output));
}

}  // namespace

std::function<void(Shell&)> add_report(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("STUDY", options->studies,
                 "Folder of `scant interplay`: its page is made again; two folders are compared")
      ->required()
      ->expected(1, 2);
  app.add_option("-o,--output", options->output,
                 "The page (default: STUDY/report.html, or comparison.html for two)");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
