// What an operator can do to lead clients past the gateways, as text and commands. Nothing here is executed: whoever
// leaves the path owns what is in front of it (DNS, addresses, packet filters), and Foreshadow does not.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace foreshadow::app {

struct BypassPlan {
  std::vector<std::string> changes;  // what is different for clients who come straight to the instance
  std::vector<std::string>
      redirect;                   // commands for root on the gateways' host; empty where packets cannot be redirected
  std::vector<std::string> undo;  // new connections come as before; those that were led past us go on
  std::vector<std::string> cleanup;  // once they are over: whatever is still led past us then is cut
};

// `settings`: of the configuration; null where only the state directory is known, and then there is nothing to redirect
// from.
BypassPlan plan_bypass(const std::string& resource, const Endpoint& current, const config::ResourceSettings* settings);

}  // namespace foreshadow::app
