// Who serves a resource, told by whoever still can: the controller, its journal, the gateways' state files, the
// configuration. Pure: the witnesses are gathered elsewhere (bypass_command.cpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::app {

struct Witness {
  std::string source;  // "the controller", "gateway a's state file"
  std::uint64_t epoch = 0;
  Instance current;
  // Of a handover that this witness knows of and that may have got so far that another instance may write.
  std::optional<std::uint64_t> closed_for;
  std::optional<Instance> other;  // who that would be, where it is known
};

struct Whereabouts {
  Instance current;
  std::uint64_t epoch = 0;
  std::string source;
  // Not empty: a handover was cut off where either side may be the one that writes; says which, and how to tell.
  std::string doubt;
};

// The witness of the highest epoch is right, since who serves moves only with it; of several, the first. Errors:
// unreachable (nobody knows anything).
Result<Whereabouts> whereabouts(const std::vector<Witness>& witnesses);

}  // namespace foreshadow::app
