#include "kinds/postgres/rejoin.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/fence.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"
#include "kinds/postgres/wal.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Millis kQuery = 5s;
constexpr Millis kGrace = 1s;
constexpr Millis kGone = 20s;
constexpr Millis kStart = 5min;
constexpr Millis kStreams = 2min;
constexpr Millis kStreamsAlready = 3s;
constexpr Millis kRewind = 25min;
constexpr Millis kCheckpoint = 5min;
// How far before the fork the log is read: whole records, so that its end is found by reading, not by guessing.
constexpr std::uint64_t kReadBefore = 256 << 10;

struct Upstream {
  std::string system_identifier;
  std::uint32_t timeline = 0;
  std::vector<TimelineFork> forks;
};

// Asked as a standby would (54.4 Streaming Replication Protocol), since that is what the old primary is about to be.
Result<Upstream> ask_upstream(const Instance& primary, const PgSettings& settings, std::stop_token stop) {
  Upstream out;
  FS_TRY(control, Control::connect(primary.endpoint, settings, stop, Replication::physical));
  FS_TRY(system, control.query("IDENTIFY_SYSTEM", kQuery, stop));
  if (system.empty() || system[0].size() < 2) return fail(Code::invalid, "no answer to IDENTIFY_SYSTEM");
  out.system_identifier = system[0][0].value_or("");
  out.timeline = static_cast<std::uint32_t>(std::strtoul(system[0][1].value_or("0").c_str(), nullptr, 10));
  if (out.timeline > 1) {
    FS_TRY(history, control.query(fmt::format("TIMELINE_HISTORY {}", out.timeline), kQuery, stop));
    if (history.empty() || history[0].size() < 2) return fail(Code::invalid, "no answer to TIMELINE_HISTORY");
    FS_TRY(forks, parse_timeline_history(history[0][1].value_or("")));
    out.forks = std::move(forks);
  }
  return out;
}

struct Divergence {
  bool diverged = false;
  std::string text;
};

// Does the old primary's log hold anything that the new timeline does not share?
Result<Divergence> divergence(const PgSettings& settings, const DataDir& dir, const ControlFile& file,
                              const Upstream& upstream, std::stop_token stop) {
  if (file.timeline == upstream.timeline) return Divergence{false, "same timeline"};
  std::optional<Lsn> fork;
  for (const auto& entry : upstream.forks)
    if (entry.timeline == file.timeline) fork = entry.at;
  if (!fork)
    return fail(Code::refused, fmt::format("needs a rebuild: its timeline {} is none that timeline {} came from",
                                           file.timeline, upstream.timeline));
  if (file.checkpoint >= *fork) return Divergence{true, "its last checkpoint is past the fork at " + fork->text()};
  // Near the fork and in its segment if that can be read, because a busy log is long; a segment that was left early (a
  // base copy ends that way) is followed by nothing, so reading never starts in an earlier one. The checkpoint always
  // can be read.
  const auto segment_start = fork->value - fork->value % file.wal_segment_bytes;
  const Lsn near{std::max(segment_start, fork->value > kReadBefore ? fork->value - kReadBefore : 0)};
  auto read = read_wal(settings, dir, file.timeline, std::max(file.checkpoint, near), *fork, stop);
  if (!read && near > file.checkpoint) read = read_wal(settings, dir, file.timeline, file.checkpoint, *fork, stop);
  if (!read) return tl::make_unexpected(read.error());
  const auto& tail = *read;
  if (tail.last >= *fork)
    return Divergence{true, fmt::format("its log goes on to {} past the fork at {}", tail.last.text(), fork->text())};
  return Divergence{false, fmt::format("its log ends at the fork at {}", fork->text())};
}

Result<void> rewind(const PgSettings& settings, const DataDir& dir, const ControlFile& file,
                    const Instance& old_primary, const Instance& primary, Control& source_control,
                    const std::string& why, std::stop_token stop) {
  if (!file.checksums && !file.wal_log_hints)
    return fail(Code::refused,
                fmt::format("{} needs a rebuild: {}, and without wal_log_hints or data checksums it cannot be "
                            "rewound",
                            old_primary.id, why));
  // A server just promoted has the old timeline in its control file until its first checkpoint; pg_rewind before 16
  // then finds two clusters on one timeline, says that nothing is to be done, and leaves ours diverged.
  FS_TRY(patient, source_control.query("SET statement_timeout = 0", kQuery, stop));
  static_cast<void>(patient);
  FS_TRY(checkpointed, source_control.query("CHECKPOINT", kCheckpoint, stop));
  static_cast<void>(checkpointed);
  // Rewinding replays the log in single-user mode first, which refuses a standby. From here to the write below a reboot
  // would find a primary, but one that no gateway routes to and that only an operator starts.
  FS_CHECK(dir.remove("standby.signal"));
  // That replay ends in a checkpoint, which would remove the WAL between the last checkpoint in common and the fork:
  // just what pg_rewind reads next. Its own copy of the new primary's configuration takes this setting away again.
  FS_CHECK(dir.configure({{"wal_keep_size", "1TB"}}));
  auto source = settings;
  source.replication_user = settings.user;
  const auto info = conninfo(primary.endpoint, source, "foreshadow") + " dbname=" + conninfo_quote(settings.database);
  auto ran = run_tool(settings, dir, "pg_rewind", {"-D", dir.path(), "--source-server=" + info}, kRewind, stop);
  FS_CHECK(dir.write("standby.signal", ""));
  if (!ran || ran->exit_code != 0) FS_CHECK(dir.configure({{"wal_keep_size", std::nullopt}}));
  if (!ran) return tl::make_unexpected(ran.error());
  if (ran->exit_code != 0)
    return fail(Code::refused,
                fmt::format("{} needs a rebuild: {}, and pg_rewind said: {}", old_primary.id, why, last_words(*ran)));
  // We saw it diverge; whoever finds nothing to do has compared something else.
  if (ran->out.find("no rewind required") != std::string::npos ||
      ran->err.find("no rewind required") != std::string::npos)
    return fail(Code::refused,
                fmt::format("{} needs a rebuild: {}, and pg_rewind found nothing to do", old_primary.id, why));
  return {};
}

}  // namespace

Result<std::string> rejoin_cluster(const PgSettings& settings, const Instance& old_primary, const Instance& primary,
                                   std::stop_token stop) {
  const auto began = std::chrono::steady_clock::now();
  const auto took = [&] {
    return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began).count();
  };
  if (old_primary.id == primary.id || old_primary.data_dir == primary.data_dir ||
      old_primary.endpoint == primary.endpoint)
    return fail(Code::invalid, "an instance cannot follow itself");
  FS_TRY(dir, DataDir::open(old_primary.data_dir));
  FS_TRY(control, Control::connect(primary.endpoint, settings, stop));
  FS_TRY(in_recovery, control.truth("SELECT pg_is_in_recovery()", kQuery, stop));
  if (in_recovery) return fail(Code::refused, primary.id + " is in recovery: it is not the primary");
  FS_CHECK(refuse_synchronous(control, old_primary, stop));
  FS_TRY(view, look_at_standby(old_primary, settings, stop));
  if (view.running && !view.in_recovery)
    return fail(Code::refused, old_primary.id + " takes writes: it must be fenced before it can follow");
  FS_TRY(upstream, ask_upstream(primary, settings, stop));
  FS_TRY(file, read_control_file(settings, dir, stop));
  if (file.system_identifier != upstream.system_identifier)
    return fail(Code::conflict, fmt::format("{} holds another cluster's data ({}, not {})", old_primary.id,
                                            file.system_identifier, upstream.system_identifier));

  if (view.running && wait_streaming(primary, old_primary, settings, kStreamsAlready, {}, stop))
    return fmt::format("{} follows {}; it did so already", old_primary.id, primary.id);

  FS_TRY(killed, kill_processes(dir.path(), kGrace, kGone));
  static_cast<void>(killed);
  FS_TRY(apart, divergence(settings, dir, file, upstream, stop));
  if (apart.diverged) FS_CHECK(rewind(settings, dir, file, old_primary, primary, control, apart.text, stop));
  // After a rewind the configuration is a copy of the new primary's, so it is written last.
  auto parameters = standby_parameters(primary, old_primary, settings);
  if (apart.diverged) parameters.merge(listen_parameters(old_primary));
  FS_CHECK(dir.configure(parameters));
  FS_CHECK(dir.write("standby.signal", ""));
  FS_CHECK(forget_configuration_before(dir));
  FS_CHECK(start_server(settings, old_primary, dir, kStart, stop));
  FS_CHECK(wait_streaming(primary, old_primary, settings, kStreams, {}, stop));
  return fmt::format("{} follows {} after {} ms; {}: {}", old_primary.id, primary.id, took(),
                     apart.diverged ? "rewound" : "no rewind", apart.text);
}

}  // namespace foreshadow::kinds::postgres
