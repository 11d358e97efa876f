// Replication as done on the host that holds both data directories: makes a streaming standby, tells how it does, and
// gives it up without a trace on the primary.
//
// A shadow is asynchronous, holds no slot unless asked and bounded, and is never made in a directory that somebody else
// filled: "<data_dir>.foreshadow" beside it says what is ours.
#pragma once

#include <memory>

#include "act/replicate/replicator.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

std::unique_ptr<act::Replicator> host_replicator(PgSettings settings);

}  // namespace foreshadow::kinds::postgres
