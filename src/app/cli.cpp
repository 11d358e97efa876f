#include "app/cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "app/exit_codes.hpp"

namespace foreshadow::app {

std::unique_ptr<CLI::App> make_cli(Job& job) {
  auto app = std::make_unique<CLI::App>(
      "Foreshadow keeps a service available through a failure that has not happened yet.", "foreshadow");
  app->require_subcommand(1);
  app->failure_message(CLI::FailureMessage::simple);
  app->set_version_flag("--version", std::string("foreshadow ") + FORESHADOW_VERSION);
  add_role_commands(*app, job);
  add_status_command(*app, job);
  add_differences_command(*app, job);
  add_metrics_command(*app, job);
  add_record_commands(*app, job);
  add_operator_commands(*app, job);
  add_gateway_commands(*app, job);
  add_bypass_command(*app, job);
  add_upgrade_command(*app, job);
  add_tool_commands(*app, job);
  return app;
}

int run_command_line(int argc, const char* const* argv) {
  Job job;
  const auto app = make_cli(job);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app->exit(e) == 0 ? exit_ok : exit_usage;
  }
  return job ? job() : exit_usage;
}

int tell(const Error& error) {
  std::fprintf(stderr, "foreshadow: %s\n", error.what.c_str());
  return exit_of(error);
}

}  // namespace foreshadow::app
