// Stops a primary for good, in an order that no crash can turn around: first its data directory says "standby of the
// shadow", on disk, then its processes are ended, then nobody is found. A reboot at any moment brings back a standby.
#pragma once

#include <string>

#include "act/promote/promoter.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

// Takes no stop token: once begun it is finished. Errors: io or refused before anything was ended (the primary goes
// on); timeout: processes remain, so nothing is proven.
Result<std::string> fence_cluster(const PgSettings& settings, const Instance& primary, const Instance& shadow);

// The old primary starts again as primary. Requires that nobody was promoted (the desk's book says so).
Result<std::string> revive_cluster(const PgSettings& settings, const Instance& primary, std::stop_token stop);

}  // namespace foreshadow::kinds::postgres
