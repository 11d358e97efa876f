#include "kinds/postgres/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/log.hpp"
#include "io/fd.hpp"
#include "io/files.hpp"
#include "io/wait.hpp"
#include "kinds/postgres/processes.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

// "Database system identifier:           7312..." -> "7312..."
std::string field(const std::string& text, const std::string& name) {
  std::size_t at = 0;
  while (at < text.size()) {
    auto end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    const auto line = std::string_view(text).substr(at, end - at);
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      const auto value = line.substr(name.size() + 1);
      const auto first = value.find_first_not_of(' ');
      return first == std::string_view::npos ? "" : std::string(value.substr(first));
    }
    at = end + 1;
  }
  return "";
}

Result<std::uint64_t> number(const std::string& text, const std::string& name) {
  const auto value = field(text, name);
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
  if (error != std::errc{} || end != value.data() + value.size())
    return fail(Code::corrupt, fmt::format("pg_controldata says '{}' for '{}'", value, name));
  return out;
}

// pg_ctl opens the log as the owner; where only root may create files, we create it for them.
Result<void> prepare_log(const std::string& path, const DataDir& dir) {
  const io::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail(Code::io, io::errno_text("server log " + path));
  if (::geteuid() == 0 && ::fchown(file.get(), dir.uid(), dir.gid()) != 0)
    return fail(Code::io, io::errno_text("chown " + path));
  return {};
}

std::string tail_of(const std::string& path) {
  const io::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return "no log";
  const auto size = ::lseek(file.get(), 0, SEEK_END);
  char text[1500];
  const auto n = ::pread(file.get(), text, sizeof text, std::max<off_t>(0, size - static_cast<off_t>(sizeof text)));
  std::string out(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  for (auto& c : out)
    if (c == '\n') c = '|';
  return out;
}

}  // namespace

Result<io::Finished> run_tool(const PgSettings& settings, const DataDir& cluster, const std::string& program,
                              std::vector<std::string> arguments, Millis timeout, std::stop_token stop,
                              std::function<void(const std::string&)> on_stderr_line, std::size_t output_max) {
  auto bin_dir = settings.bin_dir;
  if (bin_dir.empty()) {
    FS_TRY(version, cluster.major_version());
    FS_TRY(found, bin_dir_of(version));
    bin_dir = std::move(found);
  }
  io::Command command;
  command.argv = {bin_dir + "/" + program};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.working_dir = "/";  // never a data directory: who works there counts as a process of the cluster
  command.timeout = timeout;
  command.output_max = output_max;
  command.on_stderr_line = std::move(on_stderr_line);
  if (::geteuid() == 0) {
    if (cluster.uid() == 0)
      return fail(Code::invalid, program + ": the data directory belongs to root, as whom PostgreSQL never runs");
    command.uid = cluster.uid();
    command.gid = cluster.gid();
  }
  return io::run(command, std::move(stop));
}

std::string last_words(const io::Finished& finished) {
  const auto& text = finished.err.empty() ? finished.out : finished.err;
  auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return fmt::format("exit code {}", finished.exit_code);
  const auto start = text.rfind('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1) + 1);
}

Result<ControlFile> parse_control_file(const std::string& text) {
  ControlFile out;
  out.system_identifier = field(text, "Database system identifier");
  if (out.system_identifier.empty()) return fail(Code::corrupt, "pg_controldata names no system identifier");
  FS_TRY(checkpoint, parse_lsn(field(text, "Latest checkpoint location")));
  FS_TRY(timeline, number(text, "Latest checkpoint's TimeLineID"));
  FS_TRY(recovery_timeline, number(text, "Min recovery ending loc's timeline"));
  FS_TRY(segment, number(text, "Bytes per WAL segment"));
  FS_TRY(checksums, number(text, "Data page checksum version"));
  out.checkpoint = checkpoint;
  out.timeline = static_cast<std::uint32_t>(std::max(timeline, recovery_timeline));
  out.wal_segment_bytes = segment;
  out.checksums = checksums != 0;
  out.wal_log_hints = field(text, "wal_log_hints setting") == "on";
  return out;
}

Result<ControlFile> read_control_file(const PgSettings& settings, const DataDir& dir, std::stop_token stop) {
  FS_TRY(ran, run_tool(settings, dir, "pg_controldata", {"-D", dir.path()}, 10s, std::move(stop)));
  if (ran.exit_code != 0) return fail(Code::corrupt, "pg_controldata: " + last_words(ran));
  return parse_control_file(ran.out);
}

std::string server_log(const Instance& instance) {
  const auto it = instance.attributes.find("log_file");
  return it != instance.attributes.end() ? it->second : instance.data_dir + ".server.log";
}

Result<void> start_server(const PgSettings& settings, const Instance& instance, const DataDir& dir, Millis timeout,
                          std::stop_token stop) {
  auto log_file = server_log(instance);
  if (log_file.find_first_of("\"$`\\\n\r") != std::string::npos)
    return fail(Code::invalid, "log_file '" + log_file + "' holds a character that pg_ctl cannot pass on");
  // A volume too full for a log is no reason not to start what may run on it.
  std::string no_log;
  if (auto prepared = prepare_log(log_file, dir); !prepared) {
    no_log = " (there is no log: " + prepared.error().what + ")";
    log::warn("{} starts without a log: {}", instance.id, prepared.error().what);
    log_file = "/dev/null";
  }
  // "restart" of a server that does not run is a start with the options of the last one: port, socket directory, a
  // configuration kept elsewhere.
  const char* action = dir.has("postmaster.opts") ? "restart" : "start";
  FS_TRY(ran, run_tool(settings, dir, "pg_ctl", {action, "-D", dir.path(), "-l", log_file, "-W", "-m", "immediate"},
                       30s, stop));
  if (ran.exit_code != 0) return fail(Code::refused, "pg_ctl: " + last_words(ran));
  const auto began = std::chrono::steady_clock::now();
  return wait_until(
      instance.id + " takes connections", timeout, stop,
      [&]() -> Result<bool> {
        auto control = Control::connect(instance.endpoint, settings, stop);
        if (control) return true;
        if (control.error().code == Code::refused || control.error().code == Code::invalid ||
            control.error().code == Code::cancelled)
          return tl::make_unexpected(control.error());
        // Right after pg_ctl the server may not have entered its directory yet.
        if (std::chrono::steady_clock::now() - began < 2s) return false;
        FS_TRY(members, processes_of(dir.path()));
        if (members.empty()) return fail(Code::refused, instance.id + " does not start: " + tail_of(log_file) + no_log);
        return false;
      },
      5ms);
}

Result<void> wait_until(const std::string& what, Millis timeout, std::stop_token stop,
                        const std::function<Result<bool>()>& condition, Millis pause) {
  const io::Deadline deadline(timeout);
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  for (;;) {
    FS_TRY(done, condition());
    if (done) return {};
    if (stop.stop_requested()) return fail(Code::cancelled, "told to stop before: " + what);
    if (deadline.passed()) return fail(Code::timeout, fmt::format("not within {} ms: {}", timeout.count(), what));
    stopped.wait_for(lock, stop, pause, [] { return false; });
  }
}

}  // namespace foreshadow::kinds::postgres
