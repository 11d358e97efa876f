#include "kinds/postgres/fence.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <vector>

#include "base/units.hpp"
#include "io/files.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

// An immediate shutdown takes a postmaster some tens of milliseconds. What is not gone by then is not waited for:
// clients are parked meanwhile.
constexpr Millis kGrace = 150ms;
constexpr Millis kGone = 20s;
constexpr Millis kStart = 5min;
// Two small files rewritten, with what a file system wants for their directory entries.
constexpr std::uint64_t kRoomToFence = 64 << 10;
constexpr std::uint64_t kSegmentDefault = 16 << 20;

using Clock = std::chrono::steady_clock;
long long since(Clock::time_point began) { return std::chrono::duration_cast<Millis>(Clock::now() - began).count(); }

// Every WAL file has the size that initdb chose; asking pg_controldata would cost a process while clients wait.
std::uint64_t wal_segment_bytes(const DataDir& dir) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir.path() + "/pg_wal", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (it->path().filename().string().size() != 24) continue;
    if (const auto size = it->file_size(gone); !gone && size > 0) return size;
  }
  return kSegmentDefault;
}

// What a killed postmaster leaves behind names its process id, which may soon be somebody else's: the next start would
// then take that one for a running server. Nobody of the cluster is left, so all of it is stale. postmaster.pid:
// process, directory, start time, port, socket directory (src/include/utils/pidfile.h).
Result<void> remove_locks(const DataDir& dir) {
  auto text = dir.read("postmaster.pid");
  if (!text) return text.error().code == Code::unreachable ? Result<void>() : tl::make_unexpected(text.error());
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text->size() && lines.size() < 5;) {
    const auto end = std::min(text->find('\n', at), text->size());
    lines.push_back(text->substr(at, end - at));
    at = end + 1;
  }
  if (lines.size() == 5 && !lines[4].empty()) {
    const auto socket = lines[4] + "/.s.PGSQL." + lines[3];
    const auto lock = io::read_file(socket + ".lock", 4096);
    // Only if it is this server's: the same socket may belong to another by now.
    if (lock && lock->substr(0, lock->find('\n')) == lines[0]) {
      ::unlink(socket.c_str());
      ::unlink((socket + ".lock").c_str());
    }
  }
  return dir.remove("postmaster.pid");
}

Result<void> demote(const DataDir& dir, const Instance& primary, const Instance& shadow, const PgSettings& settings) {
  auto parameters = standby_parameters(shadow, primary, settings);
  // First what is harmless to a running primary, last what makes its next start a standby's.
  FS_CHECK(dir.configure(parameters));
  return dir.write("standby.signal", "");
}

}  // namespace

Result<std::string> fence_cluster(const PgSettings& settings, const Instance& primary, const Instance& shadow) {
  const auto began = Clock::now();
  if (primary.id == shadow.id || primary.data_dir == shadow.data_dir || primary.endpoint == shadow.endpoint)
    return fail(Code::invalid, "the instance to fence is the one to promote");
  FS_TRY(dir, DataDir::open(primary.data_dir));
  // May we look at all? Asked before anything is changed.
  FS_TRY(members, processes_of(dir.path()));
  const bool was_standby = dir.has("standby.signal");
  FS_TRY(volume, volume_of(dir.path()));
  std::string ballast;
  const auto drop_ballast = [&] {
    if (settings.ballast_file.empty() || ::unlink(settings.ballast_file.c_str()) != 0) return false;
    ballast = ", ballast removed";
    return true;
  };
  if (volume.available_bytes < kRoomToFence) drop_ballast();
  auto demoted = demote(dir, primary, shadow, settings);
  if (!demoted && drop_ballast()) demoted = demote(dir, primary, shadow, settings);
  if (!demoted) {
    // Nothing was ended yet; a primary that goes on must not find this at its next start.
    if (!was_standby) static_cast<void>(dir.remove("standby.signal"));
    return fail(Code::refused,
                fmt::format("{} is not fenced: its data directory cannot be told to become a standby ({}); a "
                            "ballast_file would give it room",
                            primary.id, demoted.error().what));
  }
  FS_TRY(killed, kill_processes(dir.path(), kGrace, kGone));
  FS_CHECK(remove_locks(dir));

  std::string text = fmt::format("fenced in {} ms: {} processes gone", since(began), killed.seen);
  if (killed.stragglers > 0) text += fmt::format(", {} of them by SIGKILL", killed.stragglers);
  if (killed.seen == 0)
    text = fmt::format("fenced: no process of {} runs{}", primary.id, was_standby ? ", as before" : "");
  text += ballast;
  FS_TRY(now, volume_of(dir.path()));
  if (now.available_bytes < 2 * wal_segment_bytes(dir))
    text += fmt::format("; point of no return: {} left on its volume, too little to start again as primary",
                        format_bytes(static_cast<double>(now.available_bytes)));
  return text;
}

Result<std::string> revive_cluster(const PgSettings& settings, const Instance& primary, std::stop_token stop) {
  const auto began = Clock::now();
  FS_TRY(dir, DataDir::open(primary.data_dir));
  FS_TRY(view, look_at_standby(primary, settings, stop));
  const auto undo = [&]() -> Result<void> {
    FS_CHECK(dir.remove("standby.signal"));
    return dir.configure({{"primary_conninfo", std::nullopt}, {"primary_slot_name", std::nullopt}});
  };
  if (view.running && !view.in_recovery) {
    FS_CHECK(undo());
    return primary.id + " takes writes: it was never stopped";
  }
  // A supervisor may have restarted it, as the standby it was told to be; or a fence was cut off half way.
  FS_TRY(killed, kill_processes(dir.path(), kGrace, kGone));
  static_cast<void>(killed);
  FS_CHECK(remove_locks(dir));
  FS_CHECK(undo());
  FS_CHECK(start_server(settings, primary, dir, kStart, stop));
  FS_CHECK(wait_until(
      primary.id + " takes writes", kStart, stop,
      [&]() -> Result<bool> {
        FS_TRY(now, look_at_standby(primary, settings, stop));
        return now.running && !now.in_recovery;
      },
      5ms));
  return fmt::format("{} is primary again after {} ms", primary.id, since(began));
}

}  // namespace foreshadow::kinds::postgres
