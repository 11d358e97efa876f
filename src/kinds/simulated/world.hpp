// The instances of kind `simulated`: each is a log of lines and a role, in memory. It behaves as a replicated database
// does where that matters: one writer, standbys that copy it, a fence, a promotion.
//
// Made once and shared by whatever the kind hands out, which is why it is thread-safe. Never on disk, never on a
// socket.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::kinds::simulated {

enum class Role { primary, standby, fenced };

class World {
 public:
  // An instance nobody has named before is a primary with nothing in it.
  Role role(const InstanceId& id);
  std::vector<std::string> log(const InstanceId& id);

  // Acknowledged once it is in the log, and in that of every standby that is not cut off. refused: not a primary.
  Result<void> append(const InstanceId& id, const std::string& line);
  // A standby that is cut off hears nothing until it is joined again; then it has all at once.
  void cut(const InstanceId& id, bool off);

  // The standby has all of the primary's log, and goes on getting it. Safe to repeat.
  Result<void> follow(const InstanceId& primary, const InstanceId& standby);
  void leave(const InstanceId& standby);
  std::optional<InstanceId> follows(const InstanceId& id);

  void fence(const InstanceId& id);
  Result<void> promote(const InstanceId& id);
  // A fenced one is primary again.
  void revive(const InstanceId& id);

 private:
  struct Node {
    Role role = Role::primary;
    std::vector<std::string> log;
    std::optional<InstanceId> follows;
    bool cut = false;
  };
  void copy_to_followers(const InstanceId& id);

  std::mutex mutex_;
  std::map<InstanceId, Node> nodes_;
};

}  // namespace foreshadow::kinds::simulated
