#include "kinds/postgres/base_copy.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cctype>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.hpp"
#include "base/units.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/standby.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Millis kQuery = 5s;
constexpr auto kWatchEvery = 100ms;

Result<std::int64_t> number(const std::string& text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(Code::invalid, "'" + text + "' is not a number");
  return out;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// Where the copy will lie, which may not exist yet.
Result<Volume> volume_for(const std::string& path) {
  struct stat st{};
  return volume_of(::stat(path.c_str(), &st) == 0 ? path : parent_of(path));
}

// Looks at the primary's volume until destroyed, and asks the copy to stop when its room is gone.
class Guard {
 public:
  Guard(std::string path, std::uint64_t headroom, std::stop_token outer)
      : path_(std::move(path)), headroom_(headroom), chained_(std::move(outer), [this] { source_.request_stop(); }) {
    thread_ = std::jthread([this](std::stop_token stop) { watch(std::move(stop)); });
  }
  std::stop_token token() const { return source_.get_token(); }
  // Why the copy was given up for the primary's sake; nothing if it was not.
  std::optional<std::string> reason() {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

 private:
  void watch(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const auto volume = volume_of(path_);
      if (!volume || volume->available_bytes < headroom_) {
        reason_ = volume ? fmt::format("the primary's volume has {} left, less than the {} it must keep",
                                       format_bytes(static_cast<double>(volume->available_bytes)),
                                       format_bytes(static_cast<double>(headroom_)))
                         : "the primary's volume cannot be looked at: " + volume.error().what;
        source_.request_stop();
        return;
      }
      changed_.wait_for(lock, stop, kWatchEvery, [] { return false; });
    }
  }

  const std::string path_;
  const std::uint64_t headroom_;
  std::stop_source source_;
  std::stop_callback<std::function<void()>> chained_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<std::string> reason_;
  std::jthread thread_;  // last: it uses all of the above
};

// A slot holds WAL on a volume that may be running out, for every slot of the cluster: only with a bound that fits.
Result<void> check_slot_bound(Control& primary, std::uint64_t available, std::uint64_t headroom, std::stop_token stop) {
  FS_TRY(setting, primary.value("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'", kQuery, stop));
  FS_TRY(megabytes, number(setting));
  const auto bound = static_cast<std::uint64_t>(megabytes) << 20;
  if (megabytes < 0 || bound + headroom > available)
    return fail(
        Code::refused,
        fmt::format("no slot: max_slot_wal_keep_size is {}, and the primary's volume has only {} left of which {} must "
                    "stay free; lower it, or use slot: none",
                    megabytes < 0 ? "unlimited" : format_bytes(static_cast<double>(bound)),
                    format_bytes(static_cast<double>(available)), format_bytes(static_cast<double>(headroom))));
  return {};
}

}  // namespace

std::string slot_name(const InstanceId& shadow) {
  std::string out = "foreshadow_";
  for (const char c : shadow) {
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out += std::isalnum(static_cast<unsigned char>(lower)) != 0 ? lower : '_';
  }
  return out.substr(0, 63);
}

double copied_fraction(const std::string& line) {
  const auto slash = line.find('/');
  const auto unit = line.find(" kB (");
  if (slash == std::string::npos || unit == std::string::npos || unit < slash) return -1;
  const auto first = line.find_first_not_of(' ');
  const auto done = number(line.substr(first, slash - first));
  const auto all = number(line.substr(slash + 1, unit - slash - 1));
  if (!done || !all || *all <= 0 || *done < 0) return -1;
  // The total is an estimate of the start, and the copy may outgrow it.
  return std::min(1.0, static_cast<double>(*done) / static_cast<double>(*all));
}

Result<CopyPlan> plan_copy(Control& primary, const Instance& from, const Instance& to, const PgSettings& settings,
                           std::stop_token stop) {
  FS_TRY(in_recovery, primary.truth("SELECT pg_is_in_recovery()", kQuery, stop));
  if (in_recovery) return fail(Code::refused, from.id + " is in recovery: it is not the primary");
  FS_CHECK(refuse_synchronous(primary, to, stop));
  FS_TRY(rows, primary.query("SELECT current_setting('wal_level'), "
                             "(SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'), "
                             "(SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')), "
                             "(SELECT sum(pg_database_size(oid))::bigint FROM pg_database), "
                             "current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication), "
                             "current_setting('config_file')",
                             Millis{30'000}, stop));
  const auto& row = rows.at(0);
  const auto cell = [&](std::size_t i) { return row.at(i).value_or(""); };
  if (cell(0) == "minimal")
    return fail(Code::refused,
                "wal_level is minimal: set it to replica and restart the primary before it needs a shadow");
  FS_TRY(segment, number(cell(1)));
  FS_TRY(tablespaces, number(cell(2)));
  FS_TRY(bytes, number(cell(3)));
  FS_TRY(senders, number(cell(4)));
  if (tablespaces > 0)
    return fail(Code::refused, "the primary has tablespaces of its own, which a copy beside it cannot place");
  if (senders < 2)
    return fail(Code::refused,
                fmt::format("a copy needs two WAL senders and {} are free; raise max_wal_senders", senders));
  if (cell(5) != from.data_dir + "/postgresql.conf")
    return fail(Code::refused, "the primary's configuration is " + cell(5) +
                                   ", outside its data directory, where a copy does not take it along");

  CopyPlan plan;
  plan.cluster_bytes = static_cast<std::uint64_t>(bytes);
  plan.headroom_bytes = settings.headroom_min.value_or(2 * static_cast<std::uint64_t>(segment));
  FS_TRY(source, volume_of(from.data_dir));
  FS_TRY(target, volume_for(to.data_dir));
  // The copy, the WAL streamed beside it, and what is written meanwhile.
  const auto wanted = plan.cluster_bytes + plan.cluster_bytes / 10 + 4 * static_cast<std::uint64_t>(segment);
  if (source.available_bytes < plan.headroom_bytes)
    return fail(Code::refused,
                fmt::format("too late for a base copy: the primary's volume has {} left, less than the {} it must keep",
                            format_bytes(static_cast<double>(source.available_bytes)),
                            format_bytes(static_cast<double>(plan.headroom_bytes))));
  if (target.device == source.device && target.available_bytes < wanted + plan.headroom_bytes)
    return fail(Code::refused,
                fmt::format("the shadow's data would lie on the primary's own volume and fill it: {} needed, {} left",
                            format_bytes(static_cast<double>(wanted)),
                            format_bytes(static_cast<double>(target.available_bytes))));
  if (target.available_bytes < wanted)
    return fail(Code::refused, fmt::format("no room for the copy at {}: {} needed, {} left", to.data_dir,
                                           format_bytes(static_cast<double>(wanted)),
                                           format_bytes(static_cast<double>(target.available_bytes))));
  if (settings.slot == SlotPolicy::bounded) {
    FS_CHECK(check_slot_bound(primary, source.available_bytes, plan.headroom_bytes, stop));
    plan.slot = slot_name(to.id);
    // Ours by its name; of a copy that was given up.
    FS_TRY(dropped, primary.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                                  "WHERE slot_name = $1 AND NOT active",
                                  kQuery, stop, {plan.slot}));
    static_cast<void>(dropped);
  }
  return plan;
}

Result<void> copy_base(const CopyPlan& plan, const Instance& from, const Instance& to, const PgSettings& settings,
                       Millis timeout, const act::Progress& progress, std::stop_token stop) {
  std::vector<std::string> arguments{"-D",         to.data_dir,    "-d", conninfo(from.endpoint, settings, to.id),
                                     "-X",         "stream",       "-c", settings.spread_checkpoint ? "spread" : "fast",
                                     "--progress", "--no-password"};
  if (plan.slot.empty())
    arguments.emplace_back("--no-slot");
  else
    arguments.insert(arguments.end(), {"-C", "-S", plan.slot});
  if (settings.max_rate) arguments.push_back("--max-rate=" + std::to_string(*settings.max_rate / 1024) + "k");

  FS_TRY(source, DataDir::open(from.data_dir));
  Guard guard(from.data_dir, plan.headroom_bytes, stop);
  auto ran = run_tool(settings, source, "pg_basebackup", std::move(arguments), timeout, guard.token(),
                      [&](const std::string& line) {
                        const auto fraction = copied_fraction(line);
                        if (fraction >= 0 && progress)
                          progress(fraction * 0.9, fmt::format("base copy {:.0f} %", fraction * 100));
                      });
  if (ran && ran->exit_code == 0 && !guard.reason()) return {};

  // The primary drops its side with the connection; ours is the target.
  if (auto emptied = empty_directory(to.data_dir); !emptied) log::warn("after a failed copy: {}", emptied.error().what);
  if (const auto reason = guard.reason()) return fail(Code::refused, "base copy given up: " + *reason);
  if (!ran) return tl::make_unexpected(ran.error());
  return fail(Code::refused, "pg_basebackup: " + last_words(*ran));
}

}  // namespace foreshadow::kinds::postgres
