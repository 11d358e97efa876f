// Is the place where reading a log ended its end? A reader stops at the first record that is not whole, whether the
// server died while it wrote that one or a disk has damaged one in the middle; what clients were told is safe may stand
// behind the second. What tells them apart: pages are written in order, and each only when all before it is complete.
// So a whole record that does not hold, or a page that is there behind one that does not go on, is damage.
//
// Never says that a log is good: only that nothing was found which should not be there.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/lsn.hpp"

namespace foreshadow::kinds::postgres {

struct LogPlace {
  std::uint32_t timeline = 0;
  std::uint64_t segment_bytes = 0;
};

// The file in pg_wal that holds segment `number`.
std::string segment_name(const LogPlace& place, std::uint64_t number);

// A page of this log begins at `at`, on this timeline and not left from an earlier use of the file.
bool holds_page(const DataDir& dir, const LogPlace& place, Lsn at);

// Where the log ends whose last record that could be read begins at `last`: what a standby that has replayed that
// record says it has replayed. Error corrupt: the log goes on behind it. Layout of pages and records:
// src/include/access/xlog_internal.h, xlogrecord.h; the same in versions 15 to 18, with pages of 8 KiB.
Result<Lsn> end_of_log(const DataDir& dir, const LogPlace& place, Lsn last);

}  // namespace foreshadow::kinds::postgres
