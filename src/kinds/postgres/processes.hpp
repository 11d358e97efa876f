// Who belongs to a PostgreSQL cluster, and making sure that nobody does any more.
//
// Every process of a cluster (postmaster, backends, WAL senders, workers, the archiver's children) works in the data
// directory, so membership is "its current directory is that directory", by device and inode: names, pid files and exit
// codes prove nothing, and a backend outlives a killed postmaster.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow::kinds::postgres {

// Process ids, ascending; zombies are not counted, since they can do nothing. refused: we may not look at others'
// processes (neither root nor the directory's owner), so an empty answer would prove nothing.
Result<std::vector<pid_t>> processes_of(const std::string& data_dir, const std::string& proc_root = "/proc");

struct Killed {
  int seen = 0;        // processes that were there and are gone
  int stragglers = 0;  // of those, how many outlived `grace` and got SIGKILL
};

// How the processes below a postmaster are ended.
enum class Below {
  by_postmaster,  // SIGQUIT, which it hands on; each still has a word for its client
  at_once,        // SIGKILL, right behind the postmaster's SIGQUIT: nobody waits for the other to notice
};

// SIGQUIT to the postmaster, so that it starts nothing anew and ends as told (a supervisor sees no crash); SIGKILL
// after `grace` to whatever is left; again until two scans in a row find nobody. Takes no stop token: half a fence is
// worse than either. Signals go through pidfds checked before use, so a reused number is never hit. timeout: somebody
// is left (or is started anew each time).
Result<Killed> kill_processes(const std::string& data_dir, Millis grace, Millis timeout,
                              Below below = Below::by_postmaster);

}  // namespace foreshadow::kinds::postgres
