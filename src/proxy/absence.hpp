// A gateway that is down, seen and changed from outside its process: whether its state file lets it serve by itself
// when it comes back, and how it is made not to. The proof that it is down is its lock, which the kernel lets go with
// the process. Never touches a gateway that runs.
#pragma once

#include <string>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::proxy {

struct Absent {
  std::string state_dir;
  std::string gateway;
};

// From now on this gateway serves nothing of the resource until a controller has told it who does: a handover may go on
// without it. Durable when it returns; the same again is a success. `primary`: of the configuration, for a gateway that
// never had a table. Errors: conflict (it runs), corrupt (its state file), io.
Result<void> take_out(const Absent& absent, const ResourceId& resource, const Instance& primary);

// It was taken out and has not been told since. Reads one small file, asks nobody.
bool is_out(const Absent& absent, const ResourceId& resource);

}  // namespace foreshadow::proxy
