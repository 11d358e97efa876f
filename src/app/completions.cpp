#include "app/completions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <vector>

namespace foreshadow::app {
namespace {

struct Flag {
  std::string name;  // "--config"
  std::string help;
  std::string type;  // "FILE", "DIR", "" for a flag
};
struct Command {
  std::string name;
  std::string help;
  std::vector<Flag> flags;
  bool takes_resource = false;
};

std::vector<Command> commands_of(const CLI::App& app) {
  std::vector<Command> out;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Command command{sub->get_name(), sub->get_description(), {}, false};
    for (const auto* option : sub->get_options()) {
      if (option->get_positional() && (option->get_name() == "RESOURCE" || option->get_name() == "WHAT"))
        command.takes_resource = true;
      for (const auto& name : option->get_lnames())
        command.flags.push_back({"--" + name, option->get_description(),
                                 option->get_items_expected_max() == 0 ? "" : option->get_type_name()});
    }
    out.push_back(std::move(command));
  }
  return out;
}

// In single quotes of any of the three shells; fish and zsh need more than sh for a quote, so there is none.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '\'' || c == '"' || c == '\\' || c == '[' || c == ']' || c == ':' || c == '`' || c == '$' ? ' ' : c;
  return out;
}

// Resources as the status knows them; silent when nobody answers.
constexpr const char* kResources =
    R"sh(foreshadow status -o json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d'"' -f4 | sort -u)sh";

std::string bash(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const auto& c : commands) names.push_back(c.name);
  std::string out = fmt::format(R"sh(# bash completion of foreshadow: source this file
_foreshadow() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} flags= resources=
  case $prev in
    -c|--config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --state-dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
    -o|--output) COMPREPLY=($(compgen -W 'table json' -- "$cur")); return ;;
    completions) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$cur")); return ;;
    replay) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W '{}' -- "$cur")); return; fi
  case ${{COMP_WORDS[1]}} in
)sh",
                                fmt::join(names, " "));
  for (const auto& c : commands) {
    std::vector<std::string> flags;
    for (const auto& f : c.flags) flags.push_back(f.name);
    out +=
        fmt::format("    {}) flags='{}'{} ;;\n", c.name, fmt::join(flags, " "), c.takes_resource ? " resources=1" : "");
  }
  out += fmt::format(R"sh(  esac
  if [ -n "$resources" ] && [ "${{cur#-}}" = "$cur" ]; then
    COMPREPLY=($(compgen -W "$({})" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  fi
}}
complete -F _foreshadow foreshadow
)sh",
                     kResources);
  return out;
}

std::string zsh_action(const Flag& flag) {
  if (flag.type.empty()) return "";
  if (flag.name == "--output") return ":format:(table json)";
  if (flag.type == "FILE") return ":file:_files";
  if (flag.type == "DIR") return ":directory:_files -/";
  return ":value:";
}

std::string zsh(const std::vector<Command>& commands) {
  std::string out =
      "#compdef foreshadow\n# zsh completion of foreshadow: save as _foreshadow in a directory of "
      "$fpath\n_foreshadow() {\n  local -a commands\n  commands=(\n";
  for (const auto& c : commands) out += fmt::format("    '{}:{}'\n", c.name, plain(c.help));
  out += "  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n  case $words[2] in\n";
  for (const auto& c : commands) {
    out += fmt::format("    {}) _arguments", c.name);
    for (const auto& f : c.flags) out += fmt::format(" \\\n      '{}[{}]{}'", f.name, plain(f.help), zsh_action(f));
    if (c.takes_resource)
      out += fmt::format(" \\\n      '*:resource:($({}))'",
                         "foreshadow status -o json 2>/dev/null | grep -o \"\\\"name\\\":\\\"[^\\\"]*\\\"\" | cut "
                         "-d\\\" -f4 | sort -u");
    if (c.name == "completions") out += " \\\n      '*:shell:(bash zsh fish)'";
    if (c.name == "replay") out += " \\\n      '*:file:_files'";
    out += " ;;\n";
  }
  return out +
         "  esac\n}\nif [ \"$funcstack[1]\" = _foreshadow ]; then _foreshadow \"$@\"; else compdef _foreshadow "
         "foreshadow; fi\n";
}

std::string fish(const std::vector<Command>& commands) {
  std::string out =
      "# fish completion of foreshadow: save as ~/.config/fish/completions/foreshadow.fish\ncomplete -c foreshadow "
      "-f\n";
  out += fmt::format("function __foreshadow_resources\n  {}\nend\n", kResources);
  for (const auto& c : commands) {
    out += fmt::format("complete -c foreshadow -n __fish_use_subcommand -a {} -d '{}'\n", c.name, plain(c.help));
    const auto seen = fmt::format("'__fish_seen_subcommand_from {}'", c.name);
    for (const auto& f : c.flags) {
      std::string action;
      if (f.name == "--output")
        action = " -x -a 'table json'";
      else if (f.type == "FILE")
        action = " -r -F";
      else if (f.type == "DIR")
        action = " -x -a '(__fish_complete_directories)'";
      else if (!f.type.empty())
        action = " -x";
      out +=
          fmt::format("complete -c foreshadow -n {} -l {} -d '{}'{}\n", seen, f.name.substr(2), plain(f.help), action);
    }
    if (c.takes_resource) out += fmt::format("complete -c foreshadow -n {} -a '(__foreshadow_resources)'\n", seen);
    if (c.name == "completions") out += fmt::format("complete -c foreshadow -n {} -a 'bash zsh fish'\n", seen);
    if (c.name == "replay") out += fmt::format("complete -c foreshadow -n {} -F\n", seen);
  }
  return out;
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  const auto commands = commands_of(app);
  if (shell == "bash") return bash(commands);
  if (shell == "zsh") return zsh(commands);
  return fish(commands);
}

}  // namespace foreshadow::app
