#include "app/output.hpp"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace foreshadow::app {

void add_output(CLI::App& command, Output& output) {
  static const std::map<std::string, Output> names{{"table", Output::table}, {"json", Output::json}};
  command.add_option("-o,--output", output, "table or json")
      ->transform(CLI::Transformer(names, CLI::ignore_case).description(""))
      ->type_name("FORMAT")
      ->option_text("table|json");
}

}  // namespace foreshadow::app
