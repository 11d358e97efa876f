// The looking half of the preflight: what is asked of both servers, of each database, and of the two directories.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "kinds/postgres/base_copy.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/preflight.hpp"
#include "kinds/postgres/rivals.hpp"
#include "kinds/postgres/standby.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr Millis kQuery = 5s;
// Each is a connection to both servers. Who has more is told that the rest was not looked into.
constexpr std::size_t kDatabasesMax = 50;

std::string cell(const Row& row, std::size_t i) { return i < row.size() ? row[i].value_or("") : ""; }
std::uint64_t count(const Row& row, std::size_t i) { return std::strtoull(cell(row, i).c_str(), nullptr, 10); }

// Where the server says it runs, if we may know and the path means here what it means there; else what its pid file
// says, which a server in a container has in our sight too: port in line 4, second of its start in line 3.
std::optional<bool> runs_in(const std::string& data_dir, const ServerFacts& server, const std::string& port,
                            std::int64_t started) {
  std::error_code error;
  if (const auto it = server.settings.find("data_directory");
      it != server.settings.end() && !it->second.empty() && fs::exists(it->second, error))
    return fs::equivalent(it->second, data_dir, error) && !error;
  const auto dir = DataDir::open(data_dir);
  if (!dir) return std::nullopt;
  const auto text = dir->read("postmaster.pid");
  if (!text) return false;
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text->size();) {
    const auto end = std::min(text->find('\n', at), text->size());
    lines.push_back(text->substr(at, end - at));
    at = end + 1;
  }
  if (lines.size() < 4) return std::nullopt;
  // The two clocks are read some moments apart within the start of one server.
  const auto apart = std::strtoll(lines[2].c_str(), nullptr, 10) - started;
  return lines[3] == port && apart > -10 && apart < 10;
}

std::map<std::string, std::string> tablespaces_of(const std::string& data_dir) {
  std::map<std::string, std::string> out;
  std::error_code error;
  for (fs::directory_iterator it(data_dir + "/pg_tblspc", error), end; !error && it != end; it.increment(error)) {
    std::error_code broken;
    if (auto real = fs::canonical(it->path(), broken); !broken) out[it->path().filename().string()] = real.string();
  }
  return out;
}

Result<ServerFacts> look_at(Control& control, const Instance& instance, std::stop_token stop) {
  ServerFacts out;
  out.id = instance.id;
  out.version = control.server_version();
  FS_TRY(rows, control.query("SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), "
                             "pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('port'), "
                             "extract(epoch FROM pg_catalog.pg_postmaster_start_time())::bigint",
                             kQuery, stop));
  const auto& row = rows.at(0);
  out.system_identifier = cell(row, 0);
  out.in_recovery = cell(row, 1) == "t";
  // Those that we may not see are not among them.
  FS_TRY(settings,
         control.query("SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ("
                       "'archive_command', 'archive_mode', 'data_directory', 'default_transaction_read_only', "
                       "'max_connections', 'max_locks_per_transaction', 'max_prepared_transactions', "
                       "'max_wal_senders', 'max_worker_processes', 'recovery_min_apply_delay', "
                       "'shared_preload_libraries', 'synchronous_standby_names', 'wal_log_hints', "
                       "'wal_segment_size')",
                       kQuery, stop));
  for (const auto& one : settings) out.settings[cell(one, 0)] = cell(one, 1);
  out.own_directory = runs_in(instance.data_dir, out, cell(row, 2), std::strtoll(cell(row, 3).c_str(), nullptr, 10));
  FS_TRY(volume, volume_of(instance.data_dir + "/pg_wal"));
  out.volume_left_bytes = volume.available_bytes;
  out.tablespaces = tablespaces_of(instance.data_dir);
  return out;
}

// Only what an index is sorted by matters: other users of a collation read what is there.
constexpr const char* kCollationsChanged = R"(
  SELECT DISTINCT c.collname FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL pg_catalog.unnest(i.indcollation::oid[]) AS u(oid)
    JOIN pg_catalog.pg_collation c ON c.oid = u.oid
    WHERE c.collversion IS NOT NULL AND c.collversion IS DISTINCT FROM pg_catalog.pg_collation_actual_version(c.oid)
  UNION ALL SELECT 'its default' FROM pg_catalog.pg_database d
    WHERE d.datname = pg_catalog.current_database() AND d.datcollversion IS NOT NULL
      AND d.datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(d.oid))";

Result<std::vector<std::string>> collations_changed(Control& control, const std::string& database,
                                                    std::stop_token stop) {
  FS_TRY(rows, control.query(kCollationsChanged, kQuery, std::move(stop)));
  std::vector<std::string> out;
  for (const auto& row : rows) out.push_back(fmt::format("{} of database {}", cell(row, 0), database));
  return out;
}

Result<void> look_into(DatabaseFacts& out, std::vector<std::string>& changed_there, const Instance& primary,
                       const Instance& shadow, PgSettings settings, std::stop_token stop) {
  settings.database = out.name;
  FS_TRY(here, Control::connect(primary.endpoint, settings, stop));
  FS_TRY(rows, here.query(R"(
    WITH unlogged AS (
      SELECT c.oid::pg_catalog.regclass::text AS name FROM pg_catalog.pg_class c
      WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') AND pg_catalog.pg_relation_size(c.oid) > 0)
    SELECT (SELECT pg_catalog.count(*) FROM unlogged), (SELECT pg_catalog.min(name) FROM unlogged),
      (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relkind = 'S' AND relpersistence = 'p'))",
                          kQuery, stop));
  out.unlogged_relations = count(rows.at(0), 0);
  out.unlogged_example = cell(rows.at(0), 1);
  out.sequences = count(rows.at(0), 2);
  FS_TRY(changed, collations_changed(here, out.name, stop));
  out.collations_changed = std::move(changed);
  FS_TRY(there, Control::connect(shadow.endpoint, settings, stop));
  FS_TRY(changed_too, collations_changed(there, out.name, stop));
  changed_there.insert(changed_there.end(), changed_too.begin(), changed_too.end());
  return {};
}

Result<void> look_at_replication(PreflightFacts& out, Control& primary, Control& shadow, const InstanceId& id,
                                 std::stop_token stop) {
  // `synced` is a column of 17 and later.
  FS_TRY(kept, shadow.query("SELECT s.slot_name FROM pg_catalog.pg_replication_slots s "
                            "WHERE pg_catalog.to_jsonb(s) ->> 'synced' = 'true' AND NOT s.temporary",
                            kQuery, stop));
  std::set<std::string> synced;
  for (const auto& row : kept) synced.insert(cell(row, 0));
  FS_TRY(slots, primary.query("SELECT slot_name, slot_type = 'logical' FROM pg_catalog.pg_replication_slots "
                              "WHERE NOT temporary AND slot_name <> $1 ORDER BY 1",
                              kQuery, stop, {slot_name(id)}));
  for (const auto& row : slots) out.slots.push_back({cell(row, 0), cell(row, 1) == "t", synced.contains(cell(row, 0))});
  FS_TRY(others, primary.query("SELECT application_name || coalesce(' (' || client_addr::text || ')', '') "
                               "FROM pg_catalog.pg_stat_replication r WHERE state = 'streaming' "
                               "AND application_name NOT IN ($1, 'pg_basebackup') AND NOT EXISTS ("
                               "  SELECT 1 FROM pg_catalog.pg_replication_slots s "
                               "  WHERE s.active_pid = r.pid AND s.slot_type = 'logical') ORDER BY 1",
                               kQuery, stop, {id}));
  for (const auto& row : others) out.other_standbys.push_back(cell(row, 0));
  return {};
}

}  // namespace

Result<PreflightFacts> look_before_handover(Control& primary_control, Control& shadow_control, const Instance& primary,
                                            const Instance& shadow, const PgSettings& settings, std::stop_token stop) {
  PreflightFacts out;
  FS_TRY(here, look_at(primary_control, primary, stop));
  FS_TRY(there, look_at(shadow_control, shadow, stop));
  out.primary = std::move(here);
  out.shadow = std::move(there);
  out.segment_bytes = std::strtoull(out.primary.settings["wal_segment_size"].c_str(), nullptr, 10);
  out.waits_for_shadow = names_standby(out.primary.settings["synchronous_standby_names"], shadow.id);

  FS_TRY(rows,
         primary_control.query("SELECT (SELECT data_page_checksum_version > 0 FROM pg_catalog.pg_control_init()), "
                               "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts)",
                               kQuery, stop));
  out.checksums = cell(rows.at(0), 0) == "t";
  out.prepared_transactions = count(rows.at(0), 1);
  FS_TRY(of_shadow, shadow_control.query(
                        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() "
                        "ELSE false END, pg_catalog.has_function_privilege('pg_catalog.pg_promote(boolean, integer)', "
                        "'EXECUTE')",
                        kQuery, stop));
  out.replay_paused = cell(of_shadow.at(0), 0) == "t";
  out.may_promote = cell(of_shadow.at(0), 1) == "t";
  FS_CHECK(look_at_replication(out, primary_control, shadow_control, shadow.id, stop));

  for (const auto* instance : {&primary, &shadow})
    if (auto rival = rival_in_files(instance->data_dir)) out.rivals.push_back(std::move(*rival));
  FS_TRY(rival, rival_in_server(primary_control, stop));
  if (rival) out.rivals.push_back(std::move(*rival));

  FS_TRY(databases, primary_control.query("SELECT datname FROM pg_catalog.pg_database "
                                          "WHERE datallowconn AND NOT datistemplate ORDER BY datname",
                                          kQuery, stop));
  for (const auto& row : databases) {
    DatabaseFacts database{.name = cell(row, 0)};
    if (out.databases.size() >= kDatabasesMax) {
      database.unseen = fmt::format("only the first {} are", kDatabasesMax);
    } else if (auto seen = look_into(database, out.collations_changed_there, primary, shadow, settings, stop); !seen) {
      if (seen.error().code == Code::cancelled) return tl::make_unexpected(seen.error());
      database.unseen = seen.error().what;
    }
    out.databases.push_back(std::move(database));
  }
  return out;
}

}  // namespace foreshadow::kinds::postgres
