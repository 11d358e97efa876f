// Makes a fenced old primary follow the one that was promoted, to see whether the failure it was relieved of comes.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

// Without a rewind where its log ends at or before the fork; else with pg_rewind where the cluster allows one. Holds no
// slot and is never synchronous. Safe to repeat. Errors: refused (it takes writes; it would become synchronous; it
// needs a rebuild, and why), conflict (another cluster's data), corrupt (its log is unreadable).
Result<std::string> rejoin_cluster(const PgSettings& settings, const Instance& old_primary, const Instance& primary,
                                   std::stop_token stop);

}  // namespace foreshadow::kinds::postgres
