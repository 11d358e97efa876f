#include "kinds/postgres/standby.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>

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

std::map<std::string, std::optional<std::string>> listen_parameters(const Instance& instance) {
  const auto attribute = [&](const char* name, const std::string& otherwise) {
    const auto it = instance.attributes.find(name);
    return it == instance.attributes.end() ? otherwise : it->second;
  };
  const auto& host = instance.endpoint.host;
  const bool socket = host.starts_with('/');
  return {{"port", std::to_string(instance.endpoint.port)},
          {"listen_addresses", attribute("listen_addresses", socket ? "" : host)},
          {"unix_socket_directories", socket ? host : attribute("socket_dir", "")}};
}

bool names_standby(const std::string& names, const std::string& application_name) {
  const auto same = [&](const std::string& word) {
    return word == "*" ||
           std::equal(word.begin(), word.end(), application_name.begin(), application_name.end(),
                      [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
  };
  // Words between commas, brackets and blanks; inside double quotes everything is part of the word. FIRST, ANY and
  // numbers are words too, and no standby of ours is called that.
  std::string word;
  bool quoted = false;
  for (const char c : names + ",") {
    if (c == '"') {
      quoted = !quoted;
    } else if (quoted || (c != ',' && c != '(' && c != ')' && std::isspace(static_cast<unsigned char>(c)) == 0)) {
      word += c;
    } else if (!word.empty()) {
      if (same(word)) return true;
      word.clear();
    }
  }
  return !word.empty() && same(word);
}

Result<void> refuse_synchronous(Control& primary, const Instance& standby, std::stop_token stop) {
  FS_TRY(names, primary.value("SELECT current_setting('synchronous_standby_names')", kQuery, std::move(stop)));
  if (!names_standby(names, standby.id)) return {};
  return fail(Code::refused,
              fmt::format("{} would be a synchronous standby (synchronous_standby_names = '{}') and its failure "
                          "would stall every commit; take it out of that setting first",
                          standby.id, names));
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
                              "(SELECT received_tli FROM pg_stat_wal_receiver), "
                              "pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()",
                              kQuery, stop));
  const auto& row = rows.at(0);
  view.in_recovery = row.at(0) == "t";
  view.streaming = row.at(1) == "t";
  if (row.at(2)) view.received_timeline = static_cast<std::uint32_t>(std::strtoul(row[2]->c_str(), nullptr, 10));
  FS_TRY(received, optional_lsn(row.at(3)));
  FS_TRY(replayed, optional_lsn(row.at(4)));
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
        FS_TRY(rows, control.query("SELECT pg_current_wal_flush_lsn(), "
                                   "('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int, "
                                   "EXISTS (SELECT 1 FROM pg_stat_replication WHERE application_name = $1 "
                                   "        AND state = 'streaming')",
                                   kQuery, stop, {standby.id}));
        const auto& row = rows.at(0);
        if (!goal) {
          FS_TRY(flushed, parse_lsn(row.at(0).value_or("")));
          goal = flushed;
        }
        // A receiver says "streaming" before the primary has agreed to its timeline, and a diverged one says so again
        // and again; only the primary's word and the same timeline on both sides count.
        if (row.at(2) != "t" || row.at(1) != std::to_string(view.received_timeline)) return false;
        if (view.replayed && *view.replayed >= *goal) return true;
        const auto text =
            fmt::format("at {}, on the way to {}", view.replayed ? view.replayed->text() : "the start", goal->text());
        if (tell && text != told) tell(told = text);
        return false;
      },
      20ms);
}

}  // namespace foreshadow::kinds::postgres
