#include "io/keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace foreshadow::io {
namespace {

void tell(int report, KeeperReport::Kind kind, int value, KeeperReport::Step step = KeeperReport::execute) {
  const KeeperReport message{kind, value, step};
  // Below PIPE_BUF, hence whole or not at all. A reader that is gone shows on the life pipe.
  [[maybe_unused]] const auto written = ::write(report, &message, sizeof message);
}

// The keeper must hold no end of the program's pipes, nor anything of ours: a listener, a database, another life pipe.
void close_all_but(int* kept, int count) {
  std::sort(kept, kept + count);
  unsigned first = 0;
  for (int i = 0; i < count; ++i) {
    const auto fd = static_cast<unsigned>(kept[i]);
    if (fd > first) ::close_range(first, fd - 1, 0);
    first = fd + 1;
  }
  ::close_range(first, ~0U, 0);
}

// Raw system calls: libc's wrappers signal "every thread" of a process whose other threads the fork left behind.
bool become(uid_t uid, gid_t gid) {
  return ::syscall(SYS_setgroups, 1, &gid) == 0 && ::syscall(SYS_setresgid, gid, gid, gid) == 0 &&
         ::syscall(SYS_setresuid, uid, uid, uid) == 0;
}

[[noreturn]] void become_program(const KeeperPlan& plan, pid_t keeper) {
  // Away from 0..2 first, so that no dup2 overwrites a descriptor still needed.
  const int report = ::fcntl(plan.report, F_DUPFD, 10);
  const int in = ::fcntl(plan.in, F_DUPFD, 10), out = ::fcntl(plan.out, F_DUPFD, 10),
            err = ::fcntl(plan.err, F_DUPFD, 10);
  const auto give_up = [&](KeeperReport::Step step) {
    tell(report, KeeperReport::failed, errno, step);
    ::_exit(127);
  };
  // A session of its own is a group of its own, and has no terminal that a program could ask for a password on.
  if (report < 0 || ::setsid() < 0) give_up(KeeperReport::fork);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) give_up(KeeperReport::fork);
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) give_up(KeeperReport::fork);
  if (plan.change_user && !become(plan.uid, plan.gid)) give_up(KeeperReport::user);
  if (plan.working_dir && ::chdir(plan.working_dir) != 0) give_up(KeeperReport::directory);
  // After the change of user, which would clear it; the keeper may have died before it was set.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != keeper) give_up(KeeperReport::fork);
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.argv, plan.environment);
  give_up(KeeperReport::execute);
  ::_exit(127);
}

// Kills the group and reaps what is ours of it. Bounded: a process in uninterruptible sleep is left to init.
void end_group(pid_t program) {
  ::kill(-program, SIGKILL);
  ::kill(program, SIGKILL);  // it may not have come to its setsid yet
  ::waitpid(program, nullptr, WNOHANG);
  for (int tries = 0; tries < 2000; ++tries) {
    const pid_t reaped = ::waitpid(-program, nullptr, WNOHANG);
    if (reaped < 0 && ::waitpid(program, nullptr, WNOHANG) < 0) return;
    if (reaped <= 0) {
      const timespec pause{0, 1'000'000};
      ::nanosleep(&pause, nullptr);
    }
  }
}

int exit_code(const siginfo_t& info) { return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status; }

}  // namespace

void keep(const KeeperPlan& plan) {
  int kept[] = {plan.in, plan.out, plan.err, plan.life, plan.report};
  close_all_but(kept, 5);
  ::setpgid(0, 0);                       // a Ctrl-C meant for us must not stop the one who cleans up after us
  ::prctl(PR_SET_CHILD_SUBREAPER, 1UL);  // orphans of the group come to us, so that none stays a zombie
  ::prctl(PR_SET_NAME, "foreshadow-keep");
  const pid_t self = ::getpid();
  const pid_t program = ::fork();
  if (program == 0) become_program(plan, self);
  if (program < 0) {
    tell(plan.report, KeeperReport::failed, errno, KeeperReport::fork);
    ::_exit(1);
  }
  tell(plan.report, KeeperReport::started, program);
  ::close(plan.in);
  ::close(plan.out);
  ::close(plan.err);
  const int exited = static_cast<int>(::syscall(SYS_pidfd_open, program, 0));
  if (exited < 0) {
    tell(plan.report, KeeperReport::failed, errno, KeeperReport::fork);
    end_group(program);
    ::_exit(1);
  }
  pollfd fds[2] = {{plan.life, POLLIN, 0}, {exited, POLLIN, 0}};
  for (;;) {
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0) {
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(program), &info, WEXITED | WNOWAIT);
      tell(plan.report, KeeperReport::exited, exit_code(info));
      fds[1].fd = -1;
    }
  }
  end_group(program);
  ::_exit(0);
}

}  // namespace foreshadow::io
