// Stops a primary for good, in an order that no crash can turn around: first its data directory says "standby of the
// shadow", on disk, then its processes are ended, then nobody is found. A reboot at any moment brings back a standby.
//
// What is to be said there can be written before, under names that no server reads: then the fence only renames.
#pragma once

#include <string>

#include "act/promote/promoter.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

// Writes and syncs what a fence will put in place. Safe to repeat, and undone by nothing: it does nothing until it is
// renamed. A fence that finds it missing, or made for another shadow, or the configuration changed since, writes anew.
Result<void> prepare_fence(const PgSettings& settings, const DataDir& dir, const Instance& primary,
                           const Instance& shadow);

// Takes no stop token: once begun it is finished. Errors: io or refused before anything was ended (the primary goes
// on); timeout: processes remain, so nothing is proven.
Result<std::string> fence_cluster(const PgSettings& settings, const Instance& primary, const Instance& shadow);

// The old primary starts again as primary, with the configuration it had. Requires that nobody was promoted (the desk's
// book says so).
Result<std::string> revive_cluster(const PgSettings& settings, const Instance& primary, std::stop_token stop);

// The configuration from before the fence is of no use any more: this instance follows another now.
Result<void> forget_configuration_before(const DataDir& dir);

}  // namespace foreshadow::kinds::postgres
