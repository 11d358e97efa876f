#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/kinds.hpp"
#include "app/place.hpp"
#include "app/roles.hpp"
#include "app/stop_signals.hpp"
#include "app/supervisor.hpp"
#include "config/load.hpp"

namespace foreshadow::app {
namespace {

struct RoleOptions {
  std::string config_file;
  std::string name;
  bool take_over = false;
};

void add_config(CLI::App& command, RoleOptions& options) {
  command.add_option("-c,--config", options.config_file, "Configuration file")->type_name("FILE");
}

Result<config::Config> load(const RoleOptions& options, config::Ask ask) {
  FS_TRY(file, find_config(options.config_file));
  return config::load(file, all_kinds(), ask);
}

// Reads the configuration, starts the log, and runs one role until a signal.
template <class Run>
int run_role(const RoleOptions& options, const std::string& role, config::Ask ask, Run run) {
  const auto config = load(options, ask);
  if (!config) return tell(config.error());
  StopSignals signals;
  log::init(role, config->log_level);
  const auto result = run(*config, signals.token());
  return result ? exit_ok : tell(result.error());
}

int run_all(const RoleOptions& options) {
  const auto file = find_config(options.config_file);
  if (!file) return tell(file.error());
  const auto config = config::load(*file, all_kinds());
  if (!config) return tell(config.error());
  log::init("run", config->log_level);
  const auto result = supervise(*config, roles_of(*config, *file));
  return result ? exit_ok : tell(result.error());
}

int validate(const RoleOptions& options) {
  const auto config = load(options, config::Ask::files);
  if (!config) {
    // As compilers write it, so that editors can jump to the place.
    fmt::print(stderr, "{}\n", config.error().what);
    return exit_of(config.error());
  }
  fmt::print("{}: {} resources, {} gateways, {} agents; no mistakes found\n", config->file, config->resources.size(),
             config->gateways.size(), config->agents.size());
  return exit_ok;
}

}  // namespace

void add_role_commands(CLI::App& app, Job& job) {
  // Options live as long as the callbacks that read them.
  const auto options = std::make_shared<RoleOptions>();

  auto* run = app.add_subcommand("run", "Start and supervise everything one machine needs");
  add_config(*run, *options);
  run->callback([options, &job] { job = [options] { return run_all(*options); }; });

  auto* gateway = app.add_subcommand("gateway", "Run one gateway (the data plane)");
  add_config(*gateway, *options);
  gateway->add_option("--name", options->name, "Its name in the configuration")->required();
  gateway->add_flag("--take-over", options->take_over,
                    "Take the sockets of the process that runs under this name, which then finishes its sessions");
  gateway->callback([options, &job] {
    job = [options] {
      return run_role(*options, "gateway-" + options->name, config::Ask::files,
                      [&](const auto& config, auto stop) {
                        return run_gateway_role(config, options->name, options->take_over, stop);
                      });
    };
  });

  auto* agent = app.add_subcommand("agent", "Run one agent, on the host of an instance that must be fenced");
  add_config(*agent, *options);
  agent->add_option("--name", options->name, "Its name in the configuration")->required();
  agent->callback([options, &job] {
    job = [options] {
      return run_role(*options, "agent-" + options->name, config::Ask::text,
                      [&](const auto& config, auto stop) { return run_agent_role(config, options->name, stop); });
    };
  });

  auto* controller = app.add_subcommand("controller", "Run the controller (the loop, the journal, the socket)");
  add_config(*controller, *options);
  controller->callback([options, &job] {
    job = [options] {
      return run_role(*options, "controller", config::Ask::text,
                      [](const auto& config, auto stop) { return run_controller_role(config, stop); });
    };
  });

  auto* check = app.add_subcommand("validate", "Tell every mistake in a configuration, with its place");
  add_config(*check, *options);
  check->callback([options, &job] { job = [options] { return validate(*options); }; });
}

}  // namespace foreshadow::app
