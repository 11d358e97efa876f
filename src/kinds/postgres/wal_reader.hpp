// Reads a dead server's write-ahead log page by page and record by record, as its own crash recovery would: headers,
// links, checksums (PostgreSQL 15 to 18: src/backend/access/transam/xlogreader.c, src/include/access/xlog_internal.h
// and xlogrecord.h). Why, when pg_waldump does that: clients wait meanwhile, a process costs tens of milliseconds, and
// pg_waldump waits five seconds for a segment that does not exist.
//
// It never claims what it is not sure of. An end is told only where a log ends the way logs of dead servers do: in
// zeroes, in a page of the segment's former life, or with the last file. Whatever else stops the reading (a page magic
// that is not this version's, an unknown flag, a checksum or a link that does not fit, a record that other bytes than
// zeroes stand in the place of, a restart that overwrote half a record) is doubt: Code::corrupt, and the caller asks
// pg_waldump.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "kinds/postgres/lsn.hpp"
#include "kinds/postgres/wal_tail.hpp"

namespace foreshadow::kinds::postgres {

inline constexpr std::uint64_t kWalPage = 8192;  // XLOG_BLCKSZ of every distribution; another size is doubt

// The log as pages. Not thread-safe.
class WalPages {
 public:
  virtual ~WalPages() = default;
  // kWalPage bytes at `address`, a multiple of it, valid until the next call; null where no file holds that place. Any
  // error: it is there and cannot be read.
  virtual Result<const std::uint8_t*> page(std::uint64_t address) = 0;
};

struct WalScan {
  std::uint16_t magic = 0;  // of this version's pages
  std::uint32_t timeline = 0;
  std::uint64_t segment_bytes = 0;
  Lsn start;  // reading begins with the first record at or after it
  Lsn from;   // commits at or past it are told
};

// XLOG_PAGE_MAGIC of a major version; nothing: a version that we have not read the sources of.
std::optional<std::uint16_t> wal_page_magic(int major_version);

// corrupt: doubt. The other errors are those of `pages`.
Result<WalTail> scan_wal(WalPages& pages, const WalScan& scan);

}  // namespace foreshadow::kinds::postgres
