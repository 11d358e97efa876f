#include "kinds/postgres/assess.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/rescue.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"
#include "kinds/postgres/wal.hpp"
#include "kinds/postgres/wal_end.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr Millis kQuery = 5s;
// Of what the standby had received when its primary died: it is being replayed all the time.
constexpr Millis kSettle = 2s;
// Of what was brought over, as long as it gets on.
constexpr Millis kReplayStep = 20s;
constexpr Millis kReplay = 4min;
// How far before the standby's end the old log is read, so that whole records are found.
constexpr std::uint64_t kReadBefore = 256 << 10;

// Where the standby stands: it has everything before `have`, and has replayed everything before `replayed`.
struct Standing {
  Lsn have;
  Lsn replayed;
};

Result<Standing> standing_of(const Instance& shadow, const PgSettings& settings, std::stop_token stop) {
  Standing out;
  const auto settled = wait_until(
      shadow.id + " has replayed what it received", kSettle, stop,
      [&]() -> Result<bool> {
        FS_TRY(view, look_at_standby(shadow, settings, stop));
        if (!view.running) return fail(Code::unreachable, shadow.id + " does not run");
        if (!view.in_recovery) return fail(Code::conflict, shadow.id + " is not in recovery: it takes writes itself");
        if (!view.replayed) return fail(Code::unreachable, shadow.id + " cannot say what it has replayed");
        out.replayed = *view.replayed;
        out.have = std::max(view.received.value_or(Lsn{}), *view.replayed);
        return *view.replayed >= out.have;
      },
      5ms);
  // What it received may end inside a record: it never gets further then.
  if (!settled && settled.error().code != Code::timeout) return tl::make_unexpected(settled.error());
  return out;
}

struct OldLog {
  LogPlace place;
  WalTail tail;  // `commits`: those the standby lacks
};

Result<OldLog> read_old_log(const PgSettings& settings, const DataDir& dir, const ControlFile& file, Lsn replayed,
                            std::stop_token stop) {
  OldLog log;
  log.place = {file.timeline, file.wal_segment_bytes};
  // As near as can be, because a busy log is long. The last checkpoint's place always can be read; where the standby is
  // behind that, what lies between must be there, or nothing is known.
  const auto segment_start = replayed.value - replayed.value % file.wal_segment_bytes;
  const Lsn near{std::max(segment_start, replayed.value > kReadBefore ? replayed.value - kReadBefore : 0)};
  auto read = read_wal(settings, dir, file.timeline, near, replayed, stop);
  if (!read && file.checkpoint < near) read = read_wal(settings, dir, file.timeline, file.checkpoint, replayed, stop);
  if (!read) return tl::make_unexpected(read.error());
  log.tail = std::move(*read);
  FS_TRY(end, end_of_log(dir, log.place, log.tail.last));
  // What stands before the standby's end has to be read, too, or reading stopped before it came to what the standby
  // lacks.
  if (end < replayed)
    return fail(Code::corrupt,
                fmt::format("the log of {} ends at {}, before what its standby has", dir.path(), end.text()));
  return log;
}

// Returns once the standby has replayed the record that begins at `last`.
Result<void> wait_replayed(const Instance& shadow, const PgSettings& settings, Lsn last, std::stop_token stop) {
  FS_TRY(control, Control::connect(shadow.endpoint, settings, stop));
  // Looks for more log at once instead of at the next wal_retrieve_retry_interval; without the right to ask it takes
  // that long.
  if (auto asked = control.query("SELECT pg_catalog.pg_reload_conf()", kQuery, stop); !asked)
    log::info("{} is not hurried: {}", shadow.id, asked.error().what);
  const auto began = Clock::now();
  auto moved = began;
  Lsn before;
  return wait_until(
      fmt::format("{} has replayed {}", shadow.id, last.text()), kReplay, stop,
      [&]() -> Result<bool> {
        FS_TRY(text, control.value("SELECT coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')", kQuery, stop));
        FS_TRY(replayed, parse_lsn(text));
        if (replayed > last) return true;
        if (replayed != before) moved = Clock::now();
        before = replayed;
        if (Clock::now() - moved > kReplayStep)
          return fail(Code::corrupt, fmt::format("{} does not replay past {}", shadow.id, replayed.text()));
        return false;
      },
      2ms);
}

std::string commits_text(const WalTail& tail) {
  constexpr std::size_t told_max = 1000;
  return fmt::format("{}{} commits", tail.commits.size(), tail.commits.size() >= told_max ? " or more" : "");
}

class Assessment {
 public:
  Assessment(const PgSettings& settings, const act::Authority& who, const Instance& primary, const Instance& shadow,
             std::uint64_t loss_max_bytes, std::stop_token stop)
      : settings_(settings),
        who_(who),
        primary_(primary),
        shadow_(shadow),
        loss_max_(loss_max_bytes),
        stop_(std::move(stop)) {}

  Result<act::Finding> run() {
    if (primary_.id == shadow_.id || primary_.data_dir == shadow_.data_dir || primary_.endpoint == shadow_.endpoint)
      return fail(Code::invalid, "an instance lacks nothing of itself");
    FS_TRY(standing, standing_of(shadow_, settings_, stop_));
    FS_TRY(mine, DataDir::open(shadow_.data_dir));
    auto old = DataDir::open(primary_.data_dir);
    if (!old) return unknown(standing, old.error());
    FS_TRY(members, processes_of(old->path()));
    if (!members.empty()) return fail(Code::refused, primary_.id + " is not fenced: its processes run");
    auto file = read_control_file(settings_, *old, stop_);
    if (!file) return unknown(standing, file.error());
    FS_TRY(my_file, read_control_file(settings_, mine, stop_));
    if (file->system_identifier != my_file.system_identifier)
      return fail(Code::invalid,
                  fmt::format("{} is no copy of {}: their system identifiers differ", shadow_.id, primary_.id));
    auto log = read_old_log(settings_, *old, *file, standing.replayed, stop_);
    if (!log && log.error().code == Code::cancelled) return tl::make_unexpected(log.error());
    if (!log) return unknown(standing, log.error());
    // The last record both have is the end: there is nothing to bring over.
    if (log->tail.last < standing.replayed)
      return told(
          fmt::format("{} has all that is in the log of {}, to {}", shadow_.id, primary_.id, standing.replayed.text()),
          "0", "0", "0");
    return bring_over(*old, mine, standing, *log);
  }

 private:
  Result<act::Finding> bring_over(const DataDir& old, const DataDir& mine, const Standing& standing,
                                  const OldLog& log) {
    const auto began = Clock::now();
    auto rescued = rescue_log(old, mine, {log.place, standing.have, log.tail.last}, stop_);
    Result<void> replayed;
    if (rescued) replayed = wait_replayed(shadow_, settings_, log.tail.last, stop_);
    const auto* error = !rescued ? &rescued.error() : !replayed ? &replayed.error() : nullptr;
    if (error != nullptr && error->code == Code::cancelled) return tl::make_unexpected(*error);
    if (error != nullptr) return lost(standing, log.tail, *error);
    const auto took = std::chrono::duration_cast<Millis>(Clock::now() - began).count();
    return told(fmt::format("{} past {} were brought over from the disk of {}: {} segments in {} ms",
                            commits_text(log.tail), standing.replayed.text(), primary_.id, rescued->segments, took),
                "0", "0", std::to_string(log.tail.commits.size()));
  }

  // It is known what is lost.
  Result<act::Finding> lost(const Standing& standing, const WalTail& tail, const Error& why) {
    if (!tail.last_commit)
      return told(fmt::format("{} lacks no commit of {}; what else is in its log was not brought over: {}", shadow_.id,
                              primary_.id, why.what),
                  "0", "0", "0");
    const auto bytes = tail.last_commit->value - standing.replayed.value + 1;
    const auto text = fmt::format("{} in {} bytes past {} are lost, because they cannot be brought over: {}",
                                  commits_text(tail), bytes, standing.replayed.text(), why.what);
    if (bytes > loss_max_) return refuse(text, std::to_string(bytes));
    return told(text, std::to_string(bytes), std::to_string(tail.commits.size()), "0");
  }

  // Nobody can tell what is lost.
  Result<act::Finding> unknown(const Standing& standing, const Error& why) {
    const auto text =
        fmt::format("what {} had past {} cannot be told: {}", primary_.id, standing.replayed.text(), why.what);
    if (loss_max_ != kAnyLoss) return refuse(text, "any");
    return told(text, "unknown", "unknown", "0");
  }

  tl::unexpected<Error> refuse(const std::string& text, const std::string& bytes) const {
    return fail(Code::refused, fmt::format("{}. To go on without it: foreshadow failover {} --accept-data-loss {}",
                                           text, who_.resource, bytes));
  }

  Result<act::Finding> told(std::string text, std::string lost_bytes, std::string lost_commits, std::string rescued) {
    FS_TRY(control, Control::connect(shadow_.endpoint, settings_, stop_));
    FS_TRY(xmax, control.value("SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())", kQuery, stop_));
    return act::Finding{std::move(text),
                        {{"lost_bytes", std::move(lost_bytes)},
                         {"lost_commits", std::move(lost_commits)},
                         {"rescued_commits", std::move(rescued)},
                         {"xmax", std::move(xmax)}}};
  }

  const PgSettings& settings_;
  const act::Authority& who_;
  const Instance& primary_;
  const Instance& shadow_;
  const std::uint64_t loss_max_;
  const std::stop_token stop_;
};

}  // namespace

Result<act::Finding> assess_cluster(const PgSettings& settings, const act::Authority& who, const Instance& primary,
                                    const Instance& shadow, std::uint64_t loss_max_bytes, std::stop_token stop) {
  return Assessment(settings, who, primary, shadow, loss_max_bytes, std::move(stop)).run();
}

}  // namespace foreshadow::kinds::postgres
