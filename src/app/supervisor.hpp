// `foreshadow run`: keeps the roles of one machine alive, each a process of its own, so that the death of one is never
// the death of another. It decides nothing and carries no traffic.
//
// A child that dies is started again at once the first time, then after a pause that doubles up to two seconds; ten
// quiet seconds make it the first time again. SIGTERM or SIGINT stops controller, agents, gateways, in this order, so
// that nothing is decided any more while the traffic drains. SIGUSR2 replaces the gateways, one after the other, by new
// processes of the binary that lies at our path now; the old ones finish their sessions. Should the supervisor itself
// be killed, its children get SIGTERM.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace foreshadow::app {

struct RoleProcess {
  std::string name;               // "gateway-edge", "agent-local", "controller": the pid file is <state_dir>/<name>.pid
  std::vector<std::string> args;  // after the program's own name
  std::string socket;             // answers a ping once the role is ready
  int stop_order = 0;             // lower ones are stopped first
  bool takes_over = false;        // a second process of it may be started beside the first, and takes its sockets
};

std::vector<RoleProcess> roles_of(const config::Config& config, const std::string& config_file);

// The pause before a child's next start, `restarts` after its last quiet time.
Millis restart_pause(int restarts);

// Blocks until it is told to stop by a signal. Single-threaded by need: a child's death signal follows the thread that
// forked it. Errors: conflict (another supervisor has this state directory), io.
Result<void> supervise(const config::Config& config, const std::vector<RoleProcess>& roles);

}  // namespace foreshadow::app
