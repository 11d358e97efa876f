#include "observe/process_source.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>
#include <utility>

#include "io/files.hpp"
#include "observe/procfs.hpp"
#include "observe/rate_meter.hpp"

namespace foreshadow::observe {
namespace {

namespace fs = std::filesystem;

// A cluster beyond this is summed in part; the walk must stay bounded also while processes come and go.
constexpr std::size_t members_max = 4096;

std::optional<int> count_entries(const fs::path& directory) {
  std::error_code error;
  int entries = 0;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) ++entries;
  if (error) return std::nullopt;
  return entries;
}

class ProcessSource : public Source {
 public:
  ProcessSource(const Instance& instance, ProcessOptions options)
      : id_(instance.id), pid_file_(instance.pid_file), options_(std::move(options)) {
    if (const auto it = instance.attributes.find("pid"); it != instance.attributes.end()) fixed_pid_ = it->second;
  }

  std::string name() const override { return "process:" + id_; }

  Result<std::vector<Reading>> scrape(std::stop_token) override {
    FS_TRY(named, find());
    const auto pid = named.pid;
    const auto stat = read_stat(pid);
    if (!stat) {
      // Under hidepid other users' processes have no entry; only the kernel's "no such process" proves a death.
      if (options_.proc_root == "/proc" && (::kill(pid, 0) == 0 || errno == EPERM))
        return fail(Code::io, fmt::format("process {} exists but {}/{} cannot be read; is /proc mounted with hidepid?",
                                          pid, options_.proc_root, pid));
      return gone(named);
    }
    if (stat->dead()) return gone(named);
    if (known_ && known_->named == named && known_->start_ticks != stat->start_ticks) return gone(named);
    known_ = Known{named, stat->start_ticks};
    return read(*stat);
  }

 private:
  // What named the process; a rewritten pid file names anew even when the number is the same.
  struct Named {
    int pid = 0;
    ino_t inode = 0;
    std::int64_t written_ns = 0;
    friend bool operator==(const Named&, const Named&) = default;
  };
  struct Known {
    Named named;
    std::uint64_t start_ticks = 0;
  };

  Result<Named> find() const {
    if (pid_file_.empty()) {
      if (fixed_pid_.empty())
        return fail(Code::invalid, fmt::format("instance {} has neither pid_file nor attribute pid", id_));
      const auto pid = parse_pid(fixed_pid_);
      if (!pid) return fail(Code::invalid, fmt::format("attribute pid of {} is not a process id", id_));
      return Named{.pid = *pid};
    }
    FS_TRY(text, io::read_file(pid_file_, 4096));
    const auto pid = parse_pid(text);
    if (!pid) return fail(Code::invalid, fmt::format("the first line of {} is not a process id", pid_file_));
    struct stat info{};
    if (::stat(pid_file_.c_str(), &info) != 0) return fail(Code::unreachable, pid_file_ + " is gone");
    return Named{*pid, info.st_ino, std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
  }

  // The dead one stays known: should its number come back under the same pid file, it is still not ours.
  std::vector<Reading> gone(const Named& named) {
    if (!known_ || !(known_->named == named)) known_ = Known{named, 0};
    cpu_.forget();
    reads_.forget();
    writes_.forget();
    return {{id_, "process_up", 0.0}};
  }

  fs::path path(int pid, const char* file) const { return fs::path(options_.proc_root) / std::to_string(pid) / file; }
  std::optional<ProcStat> read_stat(int pid) const {
    const auto text = io::read_file(path(pid, "stat"), 64 << 10);
    if (!text) return std::nullopt;
    return parse_proc_stat(*text);
  }

  std::vector<int> children(int pid) const {
    std::vector<int> found;
    std::error_code error;
    for (fs::directory_iterator it(path(pid, "task"), error), end; !error && it != end; it.increment(error))
      if (const auto text = io::read_file(it->path() / "children"); text) {
        const auto pids = parse_pids(*text);
        found.insert(found.end(), pids.begin(), pids.end());
      }
    return found;
  }

  // Kernels without CONFIG_PROC_CHILDREN: everybody is asked for their parent.
  std::vector<ProcStat> descendants_by_scan(int root) const {
    std::vector<ProcStat> all;
    std::error_code error;
    for (fs::directory_iterator it(options_.proc_root, error), end; !error && it != end; it.increment(error))
      if (const auto pid = parse_pid(it->path().filename().string()))
        if (const auto stat = read_stat(*pid)) all.push_back(*stat);
    std::set<int> inside{root};
    std::vector<ProcStat> found;
    for (bool grew = true; grew;) {
      grew = false;
      for (const auto& stat : all)
        if (inside.contains(stat.ppid) && inside.insert(stat.pid).second) {
          found.push_back(stat);
          grew = true;
        }
    }
    return found;
  }

  std::vector<ProcStat> members(const ProcStat& root) const {
    std::vector<ProcStat> found{root};
    if (!options_.tree) return found;
    std::error_code error;
    if (!fs::exists(path(root.pid, "task") / std::to_string(root.pid) / "children", error)) {
      const auto rest = descendants_by_scan(root.pid);
      found.insert(found.end(), rest.begin(),
                   rest.begin() + static_cast<std::ptrdiff_t>(std::min(rest.size(), members_max)));
      return found;
    }
    for (std::size_t next = 0; next < found.size() && found.size() < members_max; ++next)
      for (const int pid : children(found[next].pid))
        if (const auto stat = read_stat(pid); stat && found.size() < members_max) found.push_back(*stat);
    return found;
  }

  std::vector<Reading> read(const ProcStat& root) {
    std::vector<Reading> out{{id_, "process_up", 1.0}};
    const auto add = [&](const char* signal, std::optional<double> value) {
      if (value) out.push_back({id_, signal, value});
    };
    std::uint64_t ticks = 0, threads = 0, private_bytes = 0, shared_bytes = 0;
    bool memory_seen = false, fds_seen = false, io_seen = false;
    double fds = 0, reads = 0, writes = 0;
    const auto at = std::chrono::steady_clock::now();
    for (const auto& member : members(root)) {
      // Reaped children's time is counted with their parent, so that the sum does not fall when one ends.
      ticks += member.own_ticks + (options_.tree ? member.reaped_ticks : 0);
      if (member.dead()) continue;
      threads += member.threads;
      if (const auto text = io::read_file(path(member.pid, "status")); text)
        if (const auto memory = parse_proc_status(*text)) {
          memory_seen = true;
          private_bytes += memory->private_bytes;
          shared_bytes = std::max(shared_bytes, memory->shared_bytes);
        }
      if (const auto n = count_entries(path(member.pid, "fd"))) {
        fds_seen = true;
        fds += *n;
      }
      if (const auto text = io::read_file(path(member.pid, "io")); text)
        if (const auto io = parse_proc_io(*text)) {
          io_seen = true;
          reads += static_cast<double>(io->read_bytes);
          writes += static_cast<double>(io->write_bytes);
        }
    }
    if (memory_seen) add("process_resident_memory_bytes", static_cast<double>(private_bytes + shared_bytes));
    add("process_threads", static_cast<double>(threads));
    if (fds_seen) add("process_open_fds", fds);
    if (const auto text = io::read_file(path(root.pid, "limits")); text && !options_.tree)
      if (const auto max = parse_open_files_max(*text)) add("process_open_fds_max", static_cast<double>(*max));
    const auto owner = root.start_ticks * 4'194'304 + static_cast<std::uint64_t>(root.pid);
    static const double ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    add("process_cpu_seconds_rate", cpu_.update(owner, static_cast<double>(ticks) / ticks_per_second, at));
    if (io_seen) {
      add("process_read_bytes_rate", reads_.update(owner, reads, at));
      add("process_write_bytes_rate", writes_.update(owner, writes, at));
    }
    return out;
  }

  InstanceId id_;
  std::string pid_file_;
  std::string fixed_pid_;
  ProcessOptions options_;
  std::optional<Known> known_;
  RateMeter cpu_, reads_, writes_;
};

}  // namespace

std::unique_ptr<Source> process_source(const Instance& instance, ProcessOptions options) {
  return std::make_unique<ProcessSource>(instance, std::move(options));
}

}  // namespace foreshadow::observe
