#include "config/read_provision.hpp"

#include <fmt/format.h>

namespace foreshadow::config {
namespace {

// A program written with a '/' is found from the file; a bare name is left to PATH.
void locate_program(std::vector<std::string>& argv, const std::string& base_dir) {
  if (!argv.empty() && argv.front().find('/') != std::string::npos) argv.front() = absolute(argv.front(), base_dir);
}

void read_command(Fields& f, CommandProvision& command) {
  f.texts("argv", command.argv);
  f.texts("destroy", command.destroy);
  f.texts("rebuild", command.rebuild);
  f.duration("timeout", command.timeout);
  command.working_dir = f.reading().base_dir;
  if (command.argv.empty()) f.problem("argv", "argv: no program is named; write it as a list, [./provision.sh, up]");
  if (command.destroy.empty())
    f.problem("destroy", "destroy: no program is named, so no shadow could be given back; write it as a list");
  locate_program(command.argv, f.reading().base_dir);
  locate_program(command.destroy, f.reading().base_dir);
  locate_program(command.rebuild, f.reading().base_dir);
}

void read_terraform(Fields& f, TerraformProvision& terraform) {
  f.path("dir", terraform.dir, Need::required);
  std::vector<std::string> binary{terraform.binary};
  f.text("binary", binary.front());
  locate_program(binary, f.reading().base_dir);
  terraform.binary = binary.front();
  f.text_map("variables", terraform.variables);
}

}  // namespace

void read_provision(Fields& f, ProvisionSettings& provision) {
  f.map("command", [&](Fields& c) { read_command(c, provision.emplace<CommandProvision>()); });
  const bool both = f.has("command") && f.has("terraform");
  f.map("terraform", [&](Fields& t) { read_terraform(t, provision.emplace<TerraformProvision>()); });
  if (both)
    f.problem("terraform", "terraform: a command is given too, and a shadow is made in one way only; remove one");
  if (!f.has("command") && !f.has("terraform"))
    f.reading().problems.add(f.at(), "provision: says nothing; write command: or terraform:");
}

}  // namespace foreshadow::config
