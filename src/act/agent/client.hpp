// The ports Replicator and Promoter as the controller sees them when the work must be done on another host, or as
// another user: every call is one question to an agent over its Unix socket, answered by the same ports there.
//
// Never acts on the host itself, and never retries a step by itself: after a timeout the answer is unknown, and the one
// who asked decides. Base copies are jobs that live at the agent; follow() asks how far they are until they are done,
// and a job nobody asks about any more is abandoned there.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"

namespace foreshadow::act {

struct AgentAddress {
  std::string socket_path;
  // The kind whose ports the agent is to use, with the options it is to use them with.
  std::string kind;
  std::map<std::string, std::string> options;
};

// Thread-safe. Errors besides the port's own: unreachable (no agent there; nothing was done), timeout (unknown).
std::unique_ptr<Replicator> remote_replicator(AgentAddress address);
std::unique_ptr<Promoter> remote_promoter(AgentAddress address);

}  // namespace foreshadow::act
