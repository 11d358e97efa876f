// The port that keeps a shadow's data near its primary's.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "act/provision/provisioner.hpp"
#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::act {

struct ReplicaState {
  bool following = false;
  std::optional<Millis> lag;
  std::optional<std::uint64_t> lag_bytes;
  std::string detail;
};

// Blocking; called from an effect's own thread.
class Replicator {
 public:
  virtual ~Replicator() = default;
  // Makes the shadow follow the primary and returns once it is ready to be mirrored to. Safe to repeat: looks first.
  virtual Result<std::string> follow(const Instance& primary, const Instance& shadow, Millis timeout,
                                     const Progress& progress, std::stop_token stop) = 0;
  virtual Result<ReplicaState> state(const Instance& primary, const Instance& shadow, std::stop_token stop) = 0;
  // Stops following and frees everything the primary holds for the shadow (slots, settings). Safe to repeat.
  virtual Result<void> forget(const Instance& primary, const Instance& shadow, std::stop_token stop) = 0;
};

}  // namespace foreshadow::act
