// Pure readers of the kernel's text files under /proc and /sys/fs/cgroup (proc(5), cgroups(7)). They take bytes and
// give values; anything that is not of the documented form is nothing, never a guess.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace foreshadow::observe {

// The fields of /proc/<pid>/stat that we use; times in clock ticks.
struct ProcStat {
  int pid = 0;
  char state = '?';
  int ppid = 0;
  std::uint64_t own_ticks = 0;     // user and system time of the process itself
  std::uint64_t reaped_ticks = 0;  // of children it has waited for
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  // since boot
  bool dead() const { return state == 'Z' || state == 'X' || state == 'x'; }
  friend bool operator==(const ProcStat&, const ProcStat&) = default;
};
std::optional<ProcStat> parse_proc_stat(std::string_view text);

// Resident memory by sort, from /proc/<pid>/status. Kernels before 4.5 have only the total.
struct ProcMemory {
  std::uint64_t total_bytes = 0;
  std::uint64_t private_bytes = 0;
  std::uint64_t shared_bytes = 0;  // file-backed and shared memory
  friend bool operator==(const ProcMemory&, const ProcMemory&) = default;
};
std::optional<ProcMemory> parse_proc_status(std::string_view text);

struct ProcIo {
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
  friend bool operator==(const ProcIo&, const ProcIo&) = default;
};
std::optional<ProcIo> parse_proc_io(std::string_view text);

// Soft limit of open files from /proc/<pid>/limits; absent when unlimited.
std::optional<std::uint64_t> parse_open_files_max(std::string_view text);

// The number on the first line: a pid file, postmaster.pid, cgroup.procs. Positive and of int's size.
std::optional<int> parse_pid(std::string_view text);
// Numbers separated by white space: /proc/<pid>/task/<tid>/children.
std::vector<int> parse_pids(std::string_view text);

// A single number ("memory.current"); absent for "max" and anything else.
std::optional<std::uint64_t> parse_number(std::string_view text);
// The number after `key` and a space or tab in lines of "key value", with an optional colon after the key.
std::optional<std::uint64_t> find_number(std::string_view text, std::string_view key);

}  // namespace foreshadow::observe
