// The agent role: does on its host what only its host can do (fence, prove, promote, rejoin, base copies), for whoever
// holds the current authority, and keeps on disk whom it obeyed. Serves `<state_dir>/agent-<name>.sock`.
//
// Runs as root or as the owner of the data directories; both instances of a resource are on this host. Never decides.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::app {

struct AgentSettings {
  std::string name;
  std::string state_dir;
  // The kinds' options of the resources this agent serves; they win over what a controller sends.
  std::map<ResourceId, kinds::Options> options;
  // Borrowed: they outlive run_agent.
  std::vector<const kinds::Kind*> kinds;
};

std::string agent_socket(const std::string& state_dir, const std::string& name);

// Blocks until `stop`. Servers it started stay; every other subprocess dies with it. Errors: conflict (another agent of
// this name), corrupt (the epoch file is damaged), io.
Result<void> run_agent(const AgentSettings& settings, std::stop_token stop);

}  // namespace foreshadow::app
