#include "kinds/postgres/processes.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

// A look at all of /proc costs CPU that the dying need: between two of them we wait for those we have hold of.
constexpr Millis kMoment = 20ms;
// Descriptors held at a time; an agent has a thousand or so.
constexpr std::size_t kHeldMax = 256;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

bool works_in(const std::string& proc_root, pid_t pid, const struct stat& dir) {
  struct stat cwd{};
  return ::stat(fmt::format("{}/{}/cwd", proc_root, pid).c_str(), &cwd) == 0 && cwd.st_dev == dir.st_dev &&
         cwd.st_ino == dir.st_ino;
}

// The postmaster is the one whose parent is no member.
pid_t parent_of(const std::string& proc_root, pid_t pid) {
  const io::Fd file(::open(fmt::format("{}/{}/stat", proc_root, pid).c_str(), O_RDONLY | O_CLOEXEC));
  char text[1024];
  const auto n = file ? ::read(file.get(), text, sizeof text - 1) : -1;
  if (n <= 0) return 0;
  const std::string_view line(text, static_cast<std::size_t>(n));
  const auto name_end = line.rfind(") ");  // the name may hold anything, also ") "
  if (name_end == std::string_view::npos || name_end + 4 >= line.size()) return 0;
  pid_t parent = 0;
  std::from_chars(line.data() + name_end + 4, line.data() + line.size(), parent);
  return parent;
}

// One that was a member when we took hold of it; the hold stays with the process, whatever becomes of its number.
class Member {
 public:
  static std::optional<Member> take(pid_t pid, const struct stat& dir) {
    Member member;
    member.handle_ = io::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!member.handle_ || !works_in("/proc", pid, dir)) return std::nullopt;
    return member;
  }
  bool signal(int number) const { return ::syscall(SYS_pidfd_send_signal, handle_.get(), number, nullptr, 0) == 0; }
  // True: it has ended. It has let go of its directory by then.
  Result<bool> gone(const io::Deadline& deadline) const {
    pollfd fd{handle_.get(), POLLIN, 0};
    return io::poll_until({&fd, 1}, deadline);
  }

 private:
  io::Fd handle_;
};

}  // namespace

Result<std::vector<pid_t>> processes_of(const std::string& data_dir, const std::string& proc_root) {
  struct stat dir{};
  if (::stat(data_dir.c_str(), &dir) != 0) return fail(Code::io, io::errno_text(data_dir));
  if (const auto me = ::geteuid(); me != 0 && me != dir.st_uid)
    return fail(Code::refused,
                fmt::format("only root or the owner of {} can see who works in it; we are uid {}", data_dir, me));
  const std::unique_ptr<DIR, CloseDir> proc(::opendir(proc_root.c_str()));
  if (!proc) return fail(Code::io, io::errno_text(proc_root));
  std::vector<pid_t> found;
  for (;;) {
    errno = 0;
    const auto* entry = ::readdir(proc.get());
    if (entry == nullptr) {
      if (errno != 0) return fail(Code::io, io::errno_text(proc_root));
      break;
    }
    const std::string_view name(entry->d_name);
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size()) continue;
    if (works_in(proc_root, pid, dir)) found.push_back(pid);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<Killed> kill_processes(const std::string& data_dir, Millis grace, Millis timeout, Below below) {
  struct stat dir{};
  if (::stat(data_dir.c_str(), &dir) != 0) return fail(Code::io, io::errno_text(data_dir));
  const io::Deadline deadline(timeout);
  const io::Deadline patience(grace);
  std::set<pid_t> seen, asked, stragglers;
  for (int empty_scans = 0;;) {
    FS_TRY(members, processes_of(data_dir));
    seen.insert(members.begin(), members.end());
    empty_scans = members.empty() ? empty_scans + 1 : 0;
    // Twice, because one scan of /proc is no snapshot: a process may fork behind the reader and leave before it.
    if (empty_scans == 2) break;
    if (members.empty()) continue;

    const std::set<pid_t> present(members.begin(), members.end());
    // The postmaster comes first: one that has its SIGQUIT does not take the end of a child for a crash.
    const auto tops = std::partition(members.begin(), members.end(),
                                     [&](pid_t pid) { return !present.contains(parent_of("/proc", pid)); });
    std::vector<Member> held;
    for (auto it = members.begin(); it != members.end() && held.size() < kHeldMax; ++it) {
      const auto pid = *it;
      auto member = Member::take(pid, dir);
      if (!member) continue;
      if (patience.passed()) {
        if (member->signal(SIGKILL)) stragglers.insert(pid);
      } else if (it < tops) {
        // An orphaned backend of a dead postmaster is such a one too; on SIGQUIT it ends without a word.
        if (asked.insert(pid).second) member->signal(SIGQUIT);
      } else if (below == Below::at_once) {
        if (asked.insert(pid).second) member->signal(SIGKILL);
      }
      held.push_back(std::move(*member));
    }
    if (deadline.passed())
      return fail(Code::timeout,
                  fmt::format("{} processes still work in {} (e.g. {}); is something restarting the server?",
                              members.size(), data_dir, members.front()));
    if (held.empty()) std::this_thread::sleep_for(1ms);  // they went meanwhile, or no descriptor is left for them
    // Until they are gone, but not past the moment from which nobody is waited for.
    const io::Deadline moment(kMoment);
    const auto until =
        io::Deadline::sooner(deadline, patience.passed() ? moment : io::Deadline::sooner(patience, moment));
    for (const auto& member : held) {
      FS_TRY(gone, member.gone(until));
      if (!gone) break;
    }
  }
  return Killed{static_cast<int>(seen.size()), static_cast<int>(stragglers.size())};
}

}  // namespace foreshadow::kinds::postgres
