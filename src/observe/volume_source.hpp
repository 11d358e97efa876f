// Room on the file system that holds a path, as an unprivileged writer sees it (statvfs(3), f_bavail).
#pragma once

#include <memory>
#include <string>

#include "domain/resource.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

// Signals: volume_available_bytes, volume_size_bytes, volume_used_ratio (0..1), volume_inodes_used_ratio (absent where
// the file system does not count them). statvfs on a dead network mount blocks past any stop: the scheduler abandons
// such a scrape and its signals go stale.
std::unique_ptr<Source> volume_source(InstanceId instance, std::string path);

}  // namespace foreshadow::observe
