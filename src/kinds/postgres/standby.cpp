#include "kinds/postgres/standby.hpp"

#include <fmt/format.h>

#include <chrono>

#include "kinds/postgres/server.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;
constexpr Millis kQuery = 5s;

Result<std::optional<Lsn>> optional_lsn(const std::optional<std::string>& cell) {
  if (!cell) return std::optional<Lsn>();
  FS_TRY(lsn, parse_lsn(*cell));
  return std::optional<Lsn>(lsn);
}

}  // namespace

std::map<std::string, std::optional<std::string>> standby_parameters(const Instance& primary, const Instance& standby,
                                                                     const PgSettings& settings) {
  std::map<std::string, std::optional<std::string>> out{
      {"primary_conninfo", conninfo(primary.endpoint, settings, standby.id)},
      {"primary_slot_name", std::nullopt},
      {"hot_standby", "on"},
      // After a promotion it would wait for standbys that followed the old primary.
      {"synchronous_standby_names", ""},
      // Follows a promotion of the one it streams from.
      {"recovery_target_timeline", "latest"},
  };
  return out;
}

Result<StandbyView> look_at_standby(const Instance& standby, const PgSettings& settings, std::stop_token stop) {
  StandbyView view;
  auto control = Control::connect(standby.endpoint, settings, stop);
  if (!control) {
    if (control.error().code == Code::unreachable) return view;
    return tl::make_unexpected(control.error());
  }
  view.running = true;
  FS_TRY(rows, control->query("SELECT pg_is_in_recovery(), "
                              "coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver), false), "
                              "pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()",
                              kQuery, stop));
  const auto& row = rows.at(0);
  view.in_recovery = row.at(0) == "t";
  view.streaming = row.at(1) == "t";
  FS_TRY(received, optional_lsn(row.at(2)));
  FS_TRY(replayed, optional_lsn(row.at(3)));
  view.received = received;
  view.replayed = replayed;
  return view;
}

Result<void> wait_streaming(const Instance& primary, const Instance& standby, const PgSettings& settings,
                            Millis timeout, const std::function<void(const std::string&)>& tell, std::stop_token stop) {
  std::optional<Lsn> goal;
  std::string told;
  FS_TRY(control, Control::connect(primary.endpoint, settings, stop));
  return wait_until(
      standby.id + " streams from " + primary.id, timeout, stop,
      [&]() -> Result<bool> {
        FS_TRY(view, look_at_standby(standby, settings, stop));
        if (view.running && !view.in_recovery)
          return fail(Code::conflict, standby.id + " is no standby: it takes writes");
        if (!view.streaming) return false;
        if (!goal) {
          FS_TRY(flushed, control.lsn("SELECT pg_current_wal_flush_lsn()", kQuery, stop));
          goal = flushed;
        }
        if (view.replayed && *view.replayed >= *goal) return true;
        const auto text =
            fmt::format("{} behind {}", view.replayed ? view.replayed->text() : "nothing replayed", goal->text());
        if (tell && text != told) tell(told = text);
        return false;
      },
      20ms);
}

}  // namespace foreshadow::kinds::postgres
