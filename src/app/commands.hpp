// The subcommands of `foreshadow`, one file a group. Each adds itself to the command line; its callback leaves a job to
// be run after parsing has succeeded as a whole.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace foreshadow::app {

// Returns the process's exit code.
using Job = std::function<int()>;

void add_role_commands(CLI::App& app, Job& job);        // run, gateway, agent, controller, validate
void add_status_command(CLI::App& app, Job& job);       // status
void add_metrics_command(CLI::App& app, Job& job);      // metrics
void add_differences_command(CLI::App& app, Job& job);  // differences
void add_record_commands(CLI::App& app, Job& job);      // events, explain, replay
void add_operator_commands(CLI::App& app, Job& job);    // plan, handover, rollback, pause, resume, abort, approve
void add_gateway_commands(CLI::App& app, Job& job);     // remove-gateway
void add_bypass_command(CLI::App& app, Job& job);       // bypass
void add_upgrade_command(CLI::App& app, Job& job);      // upgrade
void add_tool_commands(CLI::App& app, Job& job);        // sim, version, completions

}  // namespace foreshadow::app
