// Tells a torn write-ahead log from a damaged one, which SQLite does not: it drops everything from the first bad frame
// on and says nothing. Format: https://sqlite.org/fileformat2.html#the_write_ahead_log
//
// A transaction begins only after the one before it was synced. So frames of this log that lie beyond a later commit
// prove that the lost transaction had been acknowledged: damage. Bad frames with nothing after them are what a crash
// leaves: a torn tail, of which nobody was told that it is safe. (Damage to exactly the last transaction looks the
// same; no log can tell these apart.)
#pragma once

#include <string>

#include "base/result.hpp"

namespace foreshadow::journal {

struct WalCheck {
  bool torn = false;  // frames after the last whole transaction; SQLite will cut them
};

// Of the log beside the database at `path`; none there is fine. Errors: corrupt with the byte where it begins, io.
Result<WalCheck> check_wal(const std::string& database_path);

}  // namespace foreshadow::journal
