#include "kinds/postgres/fence.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "base/log.hpp"
#include "base/units.hpp"
#include "io/files.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"
#include "kinds/postgres/wal_files.hpp"

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

// What is ready to be put in place, and the configuration as it was before.
constexpr const char* kConf = "postgresql.auto.conf";
constexpr const char* kSignal = "standby.signal";
constexpr const char* kConfReady = "foreshadow.auto.conf";
constexpr const char* kSignalReady = "foreshadow.standby.signal";
constexpr const char* kConfBefore = "foreshadow.auto.conf.before";

bool ready(const DataDir& dir, const std::string& demoted) {
  const auto written = dir.read(kConfReady);
  return written && *written == demoted && dir.has(kSignalReady);
}

Result<void> demote(const DataDir& dir, const Instance& primary, const Instance& shadow, const PgSettings& settings) {
  FS_TRY(now, dir.auto_conf());
  const auto demoted = edit_auto_conf(now, standby_parameters(shadow, primary, settings));
  // Of a primary; a fence that is repeated finds what the first one wrote.
  // A file system that knows no second names costs a revived primary a setting, not its fence.
  if (!dir.has(kSignal) && now != demoted && dir.has(kConf))
    if (auto kept = dir.keep_as(kConf, kConfBefore); !kept)
      log::warn("the fence of {}: {}", primary.id, kept.error().what);
  // First what is harmless to a running primary, last what makes its next start a standby's.
  if (ready(dir, demoted)) return dir.rename_all({{kConfReady, kConf}, {kSignalReady, kSignal}});
  if (now != demoted) FS_CHECK(dir.write(kConf, demoted));
  return dir.write(kSignal, "");
}

// The configuration from before the fence, if nothing but the fence has changed it since.
Result<void> undo_configuration(const DataDir& dir) {
  auto keys = standby_parameters({}, {}, {});
  for (auto& [name, value] : keys) value.reset();
  FS_TRY(now, dir.auto_conf());
  const auto before = dir.read(kConfBefore);
  if (before && edit_auto_conf(*before, keys) == edit_auto_conf(now, keys))
    return dir.rename_all({{kConfBefore, kConf}});
  return dir.configure({{"primary_conninfo", std::nullopt}, {"primary_slot_name", std::nullopt}});
}

}  // namespace

Result<void> prepare_fence(const PgSettings& settings, const DataDir& dir, const Instance& primary,
                           const Instance& shadow) {
  FS_TRY(now, dir.auto_conf());
  const auto demoted = edit_auto_conf(now, standby_parameters(shadow, primary, settings));
  if (!ready(dir, demoted)) FS_CHECK(dir.write(kConfReady, demoted));
  // Written each time: how long that takes tells how its disk is.
  return dir.write(kSignalReady, "");
}

Result<void> forget_configuration_before(const DataDir& dir) {
  if (!dir.has(kConfBefore)) return {};
  return dir.remove(kConfBefore);
}

Result<std::string> fence_cluster(const PgSettings& settings, const Instance& primary, const Instance& shadow) {
  const auto began = Clock::now();
  if (primary.id == shadow.id || primary.data_dir == shadow.data_dir || primary.endpoint == shadow.endpoint)
    return fail(Code::invalid, "the instance to fence is the one to promote");
  FS_TRY(dir, DataDir::open(primary.data_dir));
  // May we look at all? Asked before anything is changed.
  FS_TRY(members, processes_of(dir.path()));
  const bool was_standby = dir.has(kSignal);
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
    if (!was_standby) {
      static_cast<void>(dir.remove(kSignal));
      static_cast<void>(undo_configuration(dir));
    }
    return fail(Code::refused,
                fmt::format("{} is not fenced: its data directory cannot be told to become a standby ({}); a "
                            "ballast_file would give it room",
                            primary.id, demoted.error().what));
  }
  const auto demoted_in = since(began);
  FS_TRY(killed, kill_processes(dir.path(), kGrace, kGone, Below::at_once));
  FS_CHECK(remove_locks(dir));

  std::string text = fmt::format("fenced in {} ms ({} of them for its files): {} processes gone", since(began),
                                 demoted_in, killed.seen);
  if (killed.stragglers > 0) text += fmt::format(", {} of them by SIGKILL", killed.stragglers);
  if (killed.seen == 0)
    text = fmt::format("fenced: no process of {} runs{}", primary.id, was_standby ? ", as before" : "");
  text += ballast;
  FS_TRY(now, volume_of(dir.path()));
  if (now.available_bytes < 2 * wal_segment_bytes(dir).value_or(kSegmentDefault))
    text += fmt::format("; point of no return: {} left on its volume, too little to start again as primary",
                        format_bytes(static_cast<double>(now.available_bytes)));
  return text;
}

Result<std::string> revive_cluster(const PgSettings& settings, const Instance& primary, std::stop_token stop) {
  const auto began = Clock::now();
  FS_TRY(dir, DataDir::open(primary.data_dir));
  FS_TRY(view, look_at_standby(primary, settings, stop));
  const auto undo = [&]() -> Result<void> {
    FS_CHECK(dir.remove(kSignal));
    return undo_configuration(dir);
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
