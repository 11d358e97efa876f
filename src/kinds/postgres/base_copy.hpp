// A base copy that cannot hurt the one it is taken from: limited in rate, watched, and given up at the first sign that
// the primary's volume runs out of room.
#pragma once

#include <stop_token>
#include <string>

#include "act/replicate/replicator.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

struct CopyPlan {
  std::uint64_t cluster_bytes = 0;   // all databases
  std::uint64_t headroom_bytes = 0;  // below this on the primary's volume nothing is copied
  std::string slot;                  // made with the copy; empty: none
};

// Whether a copy may be made at all. refused: the reason, with the numbers.
Result<CopyPlan> plan_copy(Control& primary, const Instance& from, const Instance& to, const PgSettings& settings,
                           std::stop_token stop);

// pg_basebackup into the empty directory to.data_dir, as the owner of the primary's. While it runs the primary's volume
// is looked at ten times a second. On any error the target is emptied; the primary keeps nothing of it. Errors: refused
// (given up for the primary's sake, or pg_basebackup's own words), cancelled, timeout.
Result<void> copy_base(const CopyPlan& plan, const Instance& from, const Instance& to, const PgSettings& settings,
                       Millis timeout, const act::Progress& progress, std::stop_token stop);

// "  12345/67890 kB (18%), 0/1 tablespace" -> 0.18...; negative: not such a line.
double copied_fraction(const std::string& line);
// The name of our slot for an instance: lower case, digits and '_' only, as the server demands.
std::string slot_name(const InstanceId& shadow);

}  // namespace foreshadow::kinds::postgres
