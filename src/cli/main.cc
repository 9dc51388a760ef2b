#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>

#include "cli/commands.h"
#include "cli/shell.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/version.h"

namespace {

void apply_forced_isa() {
  const char* forced = std::getenv("SCANT_FORCE_ISA");
  if (forced == nullptr) return;
  const auto isa = scant::parse_isa(forced);
  if (!isa)
    throw scant::Error("SCANT_FORCE_ISA", std::string("unknown instruction set \"") + forced +
                                              "\"; expected portable, avx2, avx512 or avx512vnni");
  scant::limit_isa(*isa);
}

int run(int argc, char** argv) {
  CLI::App app(
      "Scant makes neural networks small: sparsity and quantization, and how their errors add up.",
      "scant");
  app.set_version_flag("--version", "scant " + std::string(scant::kVersion));
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.footer("Run `scant COMMAND --help` for a command's options and examples.");
  scant::GlobalOptions global;
  app.add_flag("-q,--quiet", global.quiet, "Print results only");
  app.add_option("--threads", global.threads,
                 "Threads to use; results do not depend on it (default: one per processor)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--log-level", global.log_level,
                 "Messages on standard error: debug, info or warning")
      ->check(CLI::IsMember({"debug", "info", "warning"}))
      ->capture_default_str();
  std::function<void(scant::Shell&)> action;
  for (const scant::Command& command : scant::all_commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->footer(std::string("Examples:\n") + command.examples);
    const auto work = command.add(*sub);
    sub->callback([&action, work] { action = work; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    // One line; the usage is a command away.
    throw scant::Error("", std::string(error.what()) + " (see scant --help)");
  }
  if (!action) throw scant::Error("", "expected a command (see scant --help)");
  apply_forced_isa();
  scant::Shell shell(global);
  action(shell);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  // Large blocks go back to the system when freed; glibc would otherwise keep blocks of up to 32
  // MiB in a heap that fragments (compressing a model of a billion weights: 685 MiB against 240).
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  try {
    return run(argc, argv);
  } catch (const scant::Error& error) {
    std::fprintf(stderr, "scant: %s\n", error.what());
  } catch (const std::bad_alloc&) {
    std::fputs("scant: not enough memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scant: internal error: %s\n", error.what());
  }
  return 1;
}
