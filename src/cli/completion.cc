#include <memory>

#include "cli/commands.h"
#include "core/error.h"

namespace scant {
namespace {

struct Names {
  std::string command;
  std::string summary;
  std::vector<std::pair<std::string, std::string>> options;  ///< "--name", description
};

void collect_options(const CLI::App& app, Names& names) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      names.options.emplace_back("--" + name, option->get_description());
  }
}

std::vector<Names> collect(const CLI::App& program) {
  std::vector<Names> commands;
  for (const CLI::App* sub : program.get_subcommands([](const CLI::App*) { return true; })) {
    Names names{sub->get_name(), sub->get_description(), {}};
    collect_options(*sub, names);
    collect_options(program, names);
    commands.push_back(std::move(names));
  }
  return commands;
}

std::string without_quotes(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '[' || c == ']' || c == ':'; });
  return text;
}

std::string bash_script(const std::vector<Names>& commands) {
  std::string names;
  std::string cases;
  for (const Names& command : commands) {
    names += (names.empty() ? "" : " ") + command.command;
    std::string options;
    for (const auto& [option, description] : command.options) options += " " + option;
    cases += "    " + command.command + ") words=\"" + options.substr(options.empty() ? 0 : 1) +
             "\" ;;\n";
  }
  return "# bash completion for scant\n"
         "_scant() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n"
         "  case \"${COMP_WORDS[1]}\" in\n" +
         cases + "    *) words=\"" + names +
         " --help --version\" ;;\n"
         "  esac\n"
         "  if [[ $COMP_CWORD -gt 1 && $current != -* ]]; then\n"
         "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _scant scant\n";
}

std::string zsh_script(const std::vector<Names>& commands) {
  std::string list;
  std::string cases;
  for (const Names& command : commands) {
    list += "    '" + command.command + ":" + without_quotes(command.summary) + "'\n";
    cases += "    " + command.command + ") _arguments";
    for (const auto& [option, description] : command.options) {
      cases += " \\\n      '" + option + "[" + without_quotes(description) + "]'";
    }
    cases += " \\\n      '*:file:_files' ;;\n";
  }
  return "#compdef scant\n_scant() {\n  local -a commands=(\n" + list +
         "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n" +
         cases + "  esac\n}\n_scant \"$@\"\n";
}

std::string fish_script(const std::vector<Names>& commands) {
  std::string script = "# fish completion for scant\n";
  for (const Names& command : commands) {
    script += "complete -c scant -n __fish_use_subcommand -f -a " + command.command + " -d '" +
              without_quotes(command.summary) + "'\n";
    for (const auto& [option, description] : command.options) {
      script += "complete -c scant -n '__fish_seen_subcommand_from " + command.command + "' -l " +
                option.substr(2) + " -d '" + without_quotes(description) + "'\n";
    }
  }
  return script;
}

}  // namespace

std::string completion_script(const CLI::App& program, const std::string& shell) {
  const std::vector<Names> commands = collect(program);
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  return fish_script(commands);
}

std::function<void(Shell&)> add_completion(CLI::App& app) {
  auto shell_name = std::make_shared<std::string>();
  app.add_option("SHELL", *shell_name, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return [shell_name, program = app.get_parent()](Shell& shell) {
    shell.result(completion_script(*program, *shell_name));
  };
}

}  // namespace scant
