// The kind `postgres`: one writer, a streaming standby as its shadow, an agent on the host to fence and promote.
#pragma once

#include <memory>

#include "kinds/kind.hpp"

namespace foreshadow::kinds {

// Attributes of an instance it heeds: cgroup (its directory), socket_dir, listen_addresses, log_file.
std::unique_ptr<Kind> make_postgres_kind();

}  // namespace foreshadow::kinds
