// What a server says of itself (pg_stat_*, locks, sizes), and whether it answers at all: a probe on a fresh connection,
// because an open one does not notice that no new client gets in.
#pragma once

#include <memory>

#include "domain/resource.hpp"
#include "kinds/postgres/settings.hpp"
#include "observe/source.hpp"

namespace foreshadow::kinds::postgres {

// Signals: pg_connections, pg_connections_max, pg_wal_bytes, pg_database_bytes, pg_replication_lag_seconds and
// pg_replication_lag_bytes (of the standby itself; absent on a primary), pg_xact_age (transactions since the oldest
// frozen id), pg_locks_waiting, pg_checkpoints_requested_rate and pg_transactions_rate (per second, from the second
// scrape on). What the role may not read is unknown; a scrape that gets nothing at all is an error.
std::unique_ptr<observe::Source> statistics_source(Instance instance, PgSettings settings);

// Signals: probe_up (1 when a fresh session answered SELECT 1), probe_duration_seconds (absent when it did not). A
// refused connection and a timeout are 0, not unknown: this is how a client would have fared.
std::unique_ptr<observe::Source> sql_probe_source(Instance instance, PgSettings settings);

}  // namespace foreshadow::kinds::postgres
