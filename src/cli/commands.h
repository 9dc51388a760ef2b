#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>

#include "cli/shell.h"

namespace scant {

/// A command of the program: one file each in this folder, one line each in commands.cc.
/// `add` declares options on its own subcommand and returns what runs it.
struct Command {
  const char* name;
  const char* summary;
  const char* examples;
  std::function<void(Shell&)> (*add)(CLI::App& app);
};

std::span<const Command> all_commands();

std::function<void(Shell&)> add_inspect(CLI::App& app);
std::function<void(Shell&)> add_tokenize(CLI::App& app);
std::function<void(Shell&)> add_run(CLI::App& app);
std::function<void(Shell&)> add_eval(CLI::App& app);
std::function<void(Shell&)> add_compress(CLI::App& app);
std::function<void(Shell&)> add_unpack(CLI::App& app);
std::function<void(Shell&)> add_export(CLI::App& app);
std::function<void(Shell&)> add_import(CLI::App& app);
std::function<void(Shell&)> add_interplay(CLI::App& app);
std::function<void(Shell&)> add_bench(CLI::App& app);
std::function<void(Shell&)> add_compare(CLI::App& app);
std::function<void(Shell&)> add_report(CLI::App& app);
std::function<void(Shell&)> add_formats(CLI::App& app);
std::function<void(Shell&)> add_completion(CLI::App& app);

/// The shell completion script made from the program's own options: "bash", "zsh" or "fish".
std::string completion_script(const CLI::App& program, const std::string& shell);

}  // namespace scant
