// The roles of the one binary, each until its stop token is asked. Each reads the whole configuration and takes its
// part.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "config/config.hpp"

namespace foreshadow::app {

// Errors: invalid (no gateway of that name in the configuration), and those of proxy::Gateway::run.
// `take_over`: in place of the process that runs under this name, if one does.
Result<void> run_gateway_role(const config::Config& config, const std::string& name, bool take_over,
                              std::stop_token stop);
// Errors: invalid (no agent of that name), and those of run_agent.
Result<void> run_agent_role(const config::Config& config, const std::string& name, std::stop_token stop);
Result<void> run_controller_role(const config::Config& config, std::stop_token stop);

}  // namespace foreshadow::app
