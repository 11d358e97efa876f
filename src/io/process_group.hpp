// Who of a process group still lives, read from procfs (proc(5), /proc/PID/stat). Zombies do not count.
#pragma once

#include <sys/types.h>

#include "base/result.hpp"

namespace foreshadow::io {

// Error io: procfs cannot be read.
Result<int> living_members(pid_t group);

}  // namespace foreshadow::io
