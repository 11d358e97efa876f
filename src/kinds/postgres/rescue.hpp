// Brings over from a dead primary's disk the log that its standby had not received: whole segments, put into the
// standby's pg_wal, where it looks for them while it runs ("you can also manually copy files to pg_wal at any time to
// have them replayed", PostgreSQL 15, 27.2.2 Standby Server Operation). So its sessions live on, and a rescue that is
// cut off leaves a standby as it was, or with more log.
//
// Never writes to the old disk, and never changes a byte that the standby has received: where both have something it
// must be the same.
#pragma once

#include <cstdint>
#include <stop_token>

#include "base/result.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/lsn.hpp"
#include "kinds/postgres/wal_end.hpp"

namespace foreshadow::kinds::postgres {

struct Rescue {
  LogPlace place;
  Lsn have;  // the standby has all before it
  Lsn last;  // the last record of the old log begins here
};
struct Rescued {
  std::uint64_t segments = 0;
};

// Requires: nobody runs in `from`. Safe to repeat. Errors: corrupt (the logs differ, or a segment is not there whole:
// nothing was changed), io (no room, or a disk that does not take it: the standby has more than before, or as much).
Result<Rescued> rescue_log(const DataDir& from, const DataDir& to, const Rescue& what, std::stop_token stop);

}  // namespace foreshadow::kinds::postgres
