// What is asked of the end of a dead server's write-ahead log, whoever read it: did anybody commit past a point, and
// where does the log end?
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kinds/postgres/lsn.hpp"

namespace foreshadow::kinds::postgres {

// A record by which a client was, or may have been, told that its work is safe.
struct WalCommit {
  Lsn at;
  std::string what;  // "COMMIT 2025-01-01 ...", "PREPARE gid ..."; for people, and not the same from both readers
};

struct WalTail {
  std::size_t records = 0;
  Lsn last;                          // start of the last valid record
  std::optional<Lsn> marker_commit;  // the commit of the last `foreshadow` message
  std::vector<WalCommit> commits;    // from `from` on, at most 1000: examples for people
  std::optional<Lsn> last_commit;    // of all of them; what is decided on
  bool by_tool = false;              // pg_waldump read it: our own reader was in doubt
};

// Makes a WalTail out of records in the order of the log. Both readers go through it, so that they can only differ in
// what they read, not in what they make of it.
class WalTally {
 public:
  // `commits` are those at or past `from`.
  explicit WalTally(Lsn from) : from_(from) {}

  // Every record first comes here. corrupt: it does not lie behind the one before.
  Result<void> record(Lsn at);
  // The record is a message of ours in this transaction.
  void marker(std::uint64_t transaction) { marker_transaction_ = transaction; }
  // The record ends a transaction so that it survives: COMMIT, COMMIT PREPARED, and PREPARE, whose client was told so.
  void commit(std::uint64_t transaction, std::string what);
  WalTail take() { return std::move(tail_); }

 private:
  Lsn from_;
  std::uint64_t marker_transaction_ = 0;
  WalTail tail_;
};

}  // namespace foreshadow::kinds::postgres
