// The process between us and a program we run. It makes two promises that nobody else can make:
//
// The program and its whole group die with us. PR_SET_PDEATHSIG alone does not give that: it fires when the *thread*
// that forked ends, not the process, and it reaches the child only, never the grandchildren that do the real work (a
// shell's children, a provider plugin). The keeper instead holds the read end of a pipe whose only write end is ours;
// the kernel closes that end whenever and however we die, and the keeper then kills the group. Should the keeper itself
// be killed, PR_SET_PDEATHSIG takes the program with it: the keeper has one thread, so there the signal means what it
// says.
//
// The group's number stays ours. The keeper leaves the exited program a zombie until we are done, so that a kill(2) of
// the group can never hit a stranger who was given the same number.
//
// It never allocates, locks or throws: it runs in a fork of a process with threads.
#pragma once

#include <sys/types.h>

namespace foreshadow::io {

// Everything the keeper needs, laid out before the fork.
struct KeeperPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* working_dir = nullptr;  // null: ours
  int in = -1, out = -1, err = -1;    // the program's ends
  int life = -1;                      // end of file: kill the group, reap it and exit
  int report = -1;                    // takes KeeperReports
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct KeeperReport {
  enum Kind : int { started, failed, exited } kind = started;
  // started: the program's pid, which is also its group; failed: errno; exited: exit code, 128 + signal when killed.
  int value = 0;
  enum Step : int { fork, user, directory, execute } step = execute;  // what failed
};

// Call in the child of a fork, with all signals blocked.
[[noreturn]] void keep(const KeeperPlan& plan);

}  // namespace foreshadow::io
