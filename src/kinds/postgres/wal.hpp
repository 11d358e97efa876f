// What a dead server's write-ahead log says: did anybody commit past a point, and where does it end? And what a live
// server's timeline history says: where did a promotion fork off?
//
// We read the log ourselves, because clients wait; where that leaves the least doubt, pg_waldump reads it again and its
// word counts. The end of the log is, as for crash recovery, the first place without a valid record. Anything else that
// stops the reading (a file that cannot be opened, a read error) is unreadable, and then nothing is claimed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kinds/postgres/lsn.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/wal_tail.hpp"

namespace foreshadow::kinds::postgres {

// Lines of pg_waldump; anything that is not a record line is an error.
Result<WalTail> parse_wal(std::string_view text, Lsn from);
// Reads pg_wal of a data directory from the first valid record at or after `start` to the end of the log; `commits` are
// those at or past `from`. corrupt: unreadable. Requires: no process of the cluster runs.
Result<WalTail> read_wal(const PgSettings& settings, const DataDir& dir, std::uint32_t timeline, Lsn start, Lsn from,
                         std::stop_token stop);

// The same by pg_waldump alone.
Result<WalTail> read_wal_by_tool(const PgSettings& settings, const DataDir& dir, std::uint32_t timeline, Lsn start,
                                 Lsn from, std::stop_token stop);

struct TimelineFork {
  std::uint32_t timeline = 0;  // the one that was left
  Lsn at;                      // its first byte that the next one does not share
};
// The content of a timeline history file, oldest first.
Result<std::vector<TimelineFork>> parse_timeline_history(std::string_view text);

}  // namespace foreshadow::kinds::postgres
