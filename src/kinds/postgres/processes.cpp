#include "kinds/postgres/processes.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <set>
#include <thread>

#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

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

// False when the process is gone or is another one by now.
bool signal_member(pid_t pid, int signal, const struct stat& dir) {
  const io::Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!handle) return false;
  if (!works_in("/proc", pid, dir)) return false;
  return ::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0) == 0;
}

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

Result<Killed> kill_processes(const std::string& data_dir, Millis grace, Millis timeout) {
  struct stat dir{};
  if (::stat(data_dir.c_str(), &dir) != 0) return fail(Code::io, io::errno_text(data_dir));
  const io::Deadline deadline(timeout);
  const io::Deadline patience(grace);
  std::set<pid_t> seen;
  std::set<pid_t> stragglers;
  std::set<pid_t> asked;
  int empty_scans = 0;
  for (;;) {
    FS_TRY(members, processes_of(data_dir));
    seen.insert(members.begin(), members.end());
    empty_scans = members.empty() ? empty_scans + 1 : 0;
    // Twice, because one scan of /proc is no snapshot: a process may fork behind the reader and leave before it.
    if (empty_scans == 2) break;
    const std::set<pid_t> present(members.begin(), members.end());
    for (const auto pid : members) {
      if (patience.passed()) {
        if (signal_member(pid, SIGKILL, dir)) stragglers.insert(pid);
      } else if (!present.contains(parent_of("/proc", pid)) && asked.insert(pid).second) {
        // An orphaned backend of a dead postmaster is such a one too; on SIGQUIT it ends without a word.
        signal_member(pid, SIGQUIT, dir);
      }
    }
    if (!members.empty() && deadline.passed())
      return fail(Code::timeout,
                  fmt::format("{} processes still work in {} (e.g. {}); is something restarting the server?",
                              members.size(), data_dir, members.front()));
    if (empty_scans == 0) std::this_thread::sleep_for(1ms);
  }
  return Killed{static_cast<int>(seen.size()), static_cast<int>(stragglers.size())};
}

}  // namespace foreshadow::kinds::postgres
