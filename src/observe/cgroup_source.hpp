// What the kernel accounts to a control group, version 2 or 1 (told apart by the files that are there).
#pragma once

#include <memory>
#include <string>

#include "domain/resource.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

// Signals: cgroup_memory_usage_bytes, cgroup_memory_limit_bytes (absent when unlimited), cgroup_cpu_seconds_rate
// (cores), cgroup_oom_kills (events so far). Usage is the working set: charged memory less the inactive file cache,
// which the kernel gives back before it kills anybody; with the cache in, every busy service would look like a leak.
// `directory` is the group's own directory; in version 1 that of the memory controller. Error unreachable: it is not
// there.
std::unique_ptr<Source> cgroup_source(InstanceId instance, std::string directory);

}  // namespace foreshadow::observe
