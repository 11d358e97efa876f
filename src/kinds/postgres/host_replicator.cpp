#include "kinds/postgres/host_replicator.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "base/log.hpp"
#include "io/files.hpp"
#include "io/wait.hpp"
#include "kinds/postgres/base_copy.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Millis kQuery = 5s;
constexpr Millis kStart = 5min;
constexpr Millis kGone = 20s;
// A standby whose WAL the primary no longer has never streams; one that has it streams within seconds.
constexpr Millis kStreamsWithin = 20s;

// What the file beside a data directory says. A copy in progress may be wiped, a finished one may be restarted.
enum class Mark { none, copying, ready };

std::string mark_path(const Instance& shadow) { return shadow.data_dir + ".foreshadow"; }

Result<Mark> read_mark(const Instance& shadow) {
  auto text = io::read_file(mark_path(shadow), 4096);
  if (!text) {
    if (text.error().code == Code::unreachable) return Mark::none;
    return tl::make_unexpected(text.error());
  }
  if (*text == "copying\n") return Mark::copying;
  if (*text == "ready\n") return Mark::ready;
  return fail(Code::corrupt,
              mark_path(shadow) + " is not ours, or damaged; nothing is done to the directory beside it");
}

Result<void> write_mark(const Instance& shadow, Mark mark) {
  return io::write_file_durably(mark_path(shadow), mark == Mark::ready ? "ready\n" : "copying\n", 0644);
}

void erase_mark(const Instance& shadow) { ::unlink(mark_path(shadow).c_str()); }

Result<void> check_pair(const Instance& primary, const Instance& shadow) {
  if (primary.data_dir.empty() || shadow.data_dir.empty())
    return fail(Code::invalid, "both the primary and the shadow need a data_dir");
  if (primary.id == shadow.id || primary.data_dir == shadow.data_dir || primary.endpoint == shadow.endpoint)
    return fail(Code::invalid, fmt::format("the shadow {} must differ from the primary {} in id, address and data_dir",
                                           shadow.id, primary.id));
  struct stat a{};
  struct stat b{};
  if (::stat(primary.data_dir.c_str(), &a) == 0 && ::stat(shadow.data_dir.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
      a.st_ino == b.st_ino)
    return fail(Code::invalid, "the shadow's data_dir is the primary's by another name");
  return {};
}

// Settings the primary was given on its command line: a copy of the configuration file does not know them, and a
// standby with a smaller max_connections does not start.
Result<std::map<std::string, std::optional<std::string>>> inherited(Control& primary, std::stop_token stop) {
  static const std::set<std::string> own{
      "data_directory",    "config_file", "hba_file",         "ident_file",
      "external_pid_file", "port",        "listen_addresses", "unix_socket_directories",
      "cluster_name"};
  FS_TRY(rows,
         primary.query("SELECT name, setting FROM pg_settings WHERE source IN ('command line', 'environment variable') "
                       "AND context <> 'internal'",
                       kQuery, std::move(stop)));
  std::map<std::string, std::optional<std::string>> out;
  for (const auto& row : rows)
    if (row.at(0) && row.at(1) && !own.contains(*row[0])) out[*row[0]] = *row[1];
  return out;
}

class HostReplicator final : public act::Replicator {
 public:
  explicit HostReplicator(PgSettings settings) : settings_(std::move(settings)) {}

  Result<std::string> follow(const Instance& primary, const Instance& shadow, Millis timeout,
                             const act::Progress& progress, std::stop_token stop) override {
    const auto began = std::chrono::steady_clock::now();
    const auto deadline = io::Deadline(timeout);
    FS_CHECK(check_pair(primary, shadow));
    const auto tell = [&](const std::string& text) {
      if (progress) progress(0.95, text);
    };
    FS_TRY(view, look_at_standby(shadow, settings_, stop));
    if (view.running && !view.in_recovery)
      return fail(Code::conflict, shadow.id + " takes writes: it is a primary, and never copied over");
    FS_TRY(mark, read_mark(shadow));
    if (view.running) {
      FS_TRY(ours, follows(primary, shadow, stop));
      if (ours) {
        const auto waited =
            wait_streaming(primary, shadow, settings_, std::min(deadline.left(), kStreamsWithin), tell, stop);
        if (waited) return describe(began, "followed already");
        if (waited.error().code != Code::timeout || mark == Mark::none) return tl::make_unexpected(waited.error());
      } else if (mark == Mark::none) {
        return fail(Code::refused, shadow.id + " is a standby of another server, and not ours");
      }
    } else if (mark == Mark::ready) {
      if (restart(primary, shadow, deadline, tell, stop)) return describe(began, "restarted");
      if (stop.stop_requested()) return fail(Code::cancelled, "told to stop before " + shadow.id + " streamed");
    }
    FS_CHECK(copy(primary, shadow, mark, deadline, progress, stop));
    FS_CHECK(wait_streaming(primary, shadow, settings_, deadline.left(), tell, stop));
    return describe(began, "copied");
  }

  Result<act::ReplicaState> state(const Instance& primary, const Instance& shadow, std::stop_token stop) override {
    act::ReplicaState out;
    FS_TRY(view, look_at_standby(shadow, settings_, stop));
    if (!view.running || !view.in_recovery) {
      out.detail = view.running ? shadow.id + " is no standby: it takes writes" : shadow.id + " does not answer";
      return out;
    }
    out.following = view.streaming;
    auto control = Control::connect(primary.endpoint, settings_, stop);
    if (!control) {
      // The shadow alone cannot know how far behind it is: its lag is unknown, not zero.
      out.detail = "the primary does not answer: " + control.error().what;
      return out;
    }
    FS_TRY(rows, control->query("SELECT pg_current_wal_lsn(), "
                                "(SELECT extract(epoch FROM replay_lag) * 1000 FROM pg_stat_replication "
                                " WHERE application_name = $1 ORDER BY backend_start DESC LIMIT 1)",
                                kQuery, stop, {shadow.id}));
    const auto& row = rows.at(0);
    FS_TRY(written, parse_lsn(row.at(0).value_or("")));
    if (view.replayed) {
      out.lag_bytes = written > *view.replayed ? written.value - view.replayed->value : 0;
      if (*out.lag_bytes == 0)
        out.lag = Millis{0};
      else if (row.at(1))
        out.lag = Millis{static_cast<Millis::rep>(std::ceil(std::strtod(row[1]->c_str(), nullptr)))};
    }
    out.detail = fmt::format("{} replayed {}, primary wrote {}", view.streaming ? "streaming," : "not streaming,",
                             view.replayed ? view.replayed->text() : "nothing", written.text());
    return out;
  }

  Result<void> forget(const Instance& primary, const Instance& shadow, std::stop_token stop) override {
    FS_CHECK(check_pair(primary, shadow));
    FS_TRY(view, look_at_standby(shadow, settings_, stop));
    if (view.running && !view.in_recovery)
      return fail(Code::refused, shadow.id + " takes writes: a primary is not given up");
    FS_TRY(mark, read_mark(shadow));
    if (auto dir = DataDir::open(shadow.data_dir)) {
      if (mark != Mark::none) {
        if (mark == Mark::ready && !dir->has("standby.signal"))
          return fail(Code::refused, shadow.data_dir + " has no standby.signal: it was promoted, and is not given up");
        FS_TRY(killed, kill_processes(dir->path(), 1s, kGone));
        static_cast<void>(killed);
      } else if (view.running) {
        // Somebody else's server: it only stops following.
        FS_CHECK(dir->configure({{"primary_conninfo", std::nullopt}, {"primary_slot_name", std::nullopt}}));
        FS_TRY(control, Control::connect(shadow.endpoint, settings_, stop));
        FS_TRY(reloaded, control.query("SELECT pg_reload_conf()", kQuery, stop));
        static_cast<void>(reloaded);
      }
    }
    return drop_slot(primary, shadow, stop);
  }

 private:
  static std::string describe(std::chrono::steady_clock::time_point began, const char* how) {
    const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began);
    return fmt::format("{}, streaming and caught up after {} ms", how, took.count());
  }

  // Whether the running standby is set to stream from this primary.
  Result<bool> follows(const Instance& primary, const Instance& shadow, std::stop_token stop) {
    FS_TRY(control, Control::connect(shadow.endpoint, settings_, stop));
    FS_TRY(info, control.value("SELECT current_setting('primary_conninfo')", kQuery, stop));
    const auto host = conninfo_quote(primary.endpoint.host);
    const auto port = std::to_string(primary.endpoint.port);
    const auto says = [&](const std::string& key, const std::string& value) {
      return (" " + info + " ").find(" " + key + "=" + value + " ") != std::string::npos;
    };
    return (says("host", host) || says("host", primary.endpoint.host)) &&
           (says("port", port) || says("port", conninfo_quote(port)));
  }

  // A standby of ours that is down. False: it does not stream any more, so a new copy is needed.
  bool restart(const Instance& primary, const Instance& shadow, const io::Deadline& deadline,
               const std::function<void(const std::string&)>& tell, std::stop_token stop) {
    const auto tried = [&]() -> Result<void> {
      FS_TRY(dir, DataDir::open(shadow.data_dir));
      if (!dir.has("standby.signal")) return fail(Code::refused, "it is no standby");
      FS_CHECK(dir.configure(standby_parameters(primary, shadow, settings_)));
      FS_CHECK(start_server(settings_, shadow, dir, std::min(deadline.left(), kStart), stop));
      return wait_streaming(primary, shadow, settings_, std::min(deadline.left(), kStreamsWithin), tell, stop);
    }();
    if (!tried) log::info("{} is copied anew: {}", shadow.id, tried.error().what);
    return tried.has_value();
  }

  Result<void> copy(const Instance& primary, const Instance& shadow, Mark mark, const io::Deadline& deadline,
                    const act::Progress& progress, std::stop_token stop) {
    struct stat owner{};
    if (::stat(primary.data_dir.c_str(), &owner) != 0)
      return fail(Code::refused,
                  "the primary's data directory is not on this host: " + io::errno_text(primary.data_dir));
    FS_TRY(control, Control::connect(primary.endpoint, settings_, stop));
    FS_CHECK(prepare_target(shadow, mark, owner));
    FS_TRY(plan, plan_copy(control, primary, shadow, settings_, stop));
    FS_TRY(parameters, inherited(control, stop));
    // Before the first byte, so that what a crash leaves is known to be ours.
    FS_CHECK(write_mark(shadow, Mark::copying));
    if (progress) progress(0, "base copy starts");
    if (auto copied =
            copy_base(plan, primary, shadow, settings_, deadline.left(), progress, stop);
        !copied) {
      erase_mark(shadow);
      if (const auto dropped = drop_slot(primary, shadow, {}); !dropped)
        log::warn("the slot of {} may be left: {}", shadow.id, dropped.error().what);
      return copied;
    }
    FS_TRY(dir, DataDir::open(shadow.data_dir));
    parameters.merge(standby_parameters(primary, shadow, settings_));
    if (!plan.slot.empty()) parameters["primary_slot_name"] = plan.slot;
    parameters.merge(listen_parameters(shadow));
    FS_CHECK(dir.configure(parameters));
    FS_CHECK(dir.write("standby.signal", ""));
    FS_CHECK(write_mark(shadow, Mark::ready));
    if (progress) progress(0.9, "base copy done, starting");
    return start_server(settings_, shadow, dir, std::min(deadline.left(), kStart), stop);
  }

  // Leaves an existing, empty directory that belongs to the servers' user.
  Result<void> prepare_target(const Instance& shadow, Mark mark, const struct stat& owner) {
    struct stat st{};
    if (::stat(shadow.data_dir.c_str(), &st) != 0) {
      if (::mkdir(shadow.data_dir.c_str(), 0700) != 0)
        return fail(Code::refused, "cannot make the shadow's data directory: " + io::errno_text(shadow.data_dir));
      if (::geteuid() == 0 && ::chown(shadow.data_dir.c_str(), owner.st_uid, owner.st_gid) != 0)
        return fail(Code::io, io::errno_text("chown " + shadow.data_dir));
      return {};
    }
    FS_TRY(empty, is_empty_directory(shadow.data_dir));
    if (!empty) {
      if (mark == Mark::none)
        return fail(Code::refused, shadow.data_dir +
                                       " is not empty and was not filled by us: empty it, or give the shadow "
                                       "another data_dir");
      auto dir = DataDir::open(shadow.data_dir);
      if (mark == Mark::ready && dir && !dir->has("standby.signal"))
        return fail(Code::conflict, shadow.data_dir + " was promoted: it is never copied over");
      FS_TRY(killed, kill_processes(shadow.data_dir, 1s, kGone));
      static_cast<void>(killed);
      FS_CHECK(empty_directory(shadow.data_dir));
    }
    if (::geteuid() == 0 && (::chown(shadow.data_dir.c_str(), owner.st_uid, owner.st_gid) != 0 ||
                             ::chmod(shadow.data_dir.c_str(), 0700) != 0))
      return fail(Code::io, io::errno_text("chown " + shadow.data_dir));
    return {};
  }

  Result<void> drop_slot(const Instance& primary, const Instance& shadow, std::stop_token stop) {
    if (settings_.slot == SlotPolicy::none) return {};
    FS_TRY(control, Control::connect(primary.endpoint, settings_, stop));
    // The walsender of a receiver that was just killed lets go within moments.
    return wait_until(
        "slot " + slot_name(shadow.id) + " is dropped", kQuery, stop,
        [&]() -> Result<bool> {
          FS_TRY(dropped, control.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                                        "WHERE slot_name = $1 AND NOT active",
                                        kQuery, stop, {slot_name(shadow.id)}));
          static_cast<void>(dropped);
          FS_TRY(left, control.query("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", kQuery, stop,
                                     {slot_name(shadow.id)}));
          return left.empty();
        },
        20ms);
  }

  const PgSettings settings_;
};

}  // namespace

std::unique_ptr<act::Replicator> host_replicator(PgSettings settings) {
  return std::make_unique<HostReplicator>(std::move(settings));
}

}  // namespace foreshadow::kinds::postgres
