// The agent's desk: takes questions as JSON, lets only the current authority through, keeps the book of epochs, and has
// the work done by the ports of the kind asked for. One step per resource at a time; reading needs no turn.
//
// Verbs (fields beside "verb" and "kind"; "options" are the kind's):
//   prepare {who, primary, shadow} | assess {who, primary, shadow, loss_max_bytes} |
//   prove_equal {who, primary, shadow} | fence {who, primary, shadow} | check_fenced {who, primary, shadow, proof}
//   promote {who, instance} | revive {who, instance} | rejoin {who, instance, primary}       -> text
//   writable {instance} -> bool
//   follow {primary, shadow, timeout_ms} -> {"state": "running" | "done", "fraction", "detail"}, or {"state":
//     "failed", "error"}; ask again while it runs
//   abandon {shadow} -> null: ends a running follow | forget {primary, shadow} -> null
//   replica_state {primary, shadow} -> {"following", "lag_ms", "lag_bytes", "detail"}
//   epochs {resource} -> the book's entry | ping -> "pong"
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"

namespace foreshadow::act {

struct HostPorts {
  std::unique_ptr<Replicator> replicator;
  std::unique_ptr<Promoter> promoter;
};

struct DeskSettings {
  std::string name;       // of the agent
  std::string state_dir;  // agent-<name>-epochs.json and agent-<name>.lock live here
  // A follow that nobody has asked about for this long is abandoned: its controller is gone.
  Millis follow_lease{10'000};
  // Makes a kind's ports as they act on this host. Errors: invalid (no such kind, bad options).
  std::function<Result<HostPorts>(const std::string& kind, const ResourceId& resource,
                                  std::map<std::string, std::string> options)>
      ports;
};

// Thread-safe.
class Desk {
 public:
  // conflict: another agent of this name runs here; corrupt: the book is damaged.
  static Result<std::unique_ptr<Desk>> open(DeskSettings settings);
  virtual ~Desk() = default;  // stops running jobs and joins them
  virtual Result<nlohmann::json> handle(const nlohmann::json& request) = 0;
  // Asks every running step to give up; their answers still come.
  virtual void stop() = 0;
};

}  // namespace foreshadow::act
