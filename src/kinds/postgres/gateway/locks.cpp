#include "kinds/postgres/gateway/locks.hpp"

#include <fmt/format.h>

#include <charconv>

namespace foreshadow::kinds::pg_gateway {
namespace {

// A lock that was taken more often than this is not worth the statement.
constexpr std::uint32_t depth_max = 1000;

std::optional<std::uint32_t> number(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string key_of(const AdvisoryLock& lock) {
  if (lock.two_keys)
    return fmt::format("'{}'::pg_catalog.int4, '{}'::pg_catalog.int4", static_cast<std::int32_t>(lock.high),
                       static_cast<std::int32_t>(lock.low));
  const auto key = static_cast<std::int64_t>(static_cast<std::uint64_t>(lock.high) << 32 | lock.low);
  return fmt::format("'{}'::pg_catalog.int8", key);
}

std::string call(const AdvisoryLock& lock, std::string_view function) {
  return fmt::format("pg_catalog.{}{}({})", function, lock.shared ? "_shared" : "", key_of(lock));
}

}  // namespace

std::string query_of_locks() {
  return "SELECT pid, classid, objid, objsubid, mode FROM pg_catalog.pg_locks "
         "WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND granted";
}

std::optional<std::vector<AdvisoryLock>> read_locks(const Exchange::Answer& answer) {
  if (!answer.ok()) return std::nullopt;
  std::vector<AdvisoryLock> out;
  for (const auto& row : answer.rows) {
    if (row.size() != 5) return std::nullopt;
    const auto pid = number(row[0]), high = number(row[1]), low = number(row[2]);
    if (!pid || !high || !low) return std::nullopt;
    const bool shared = row[4] == "ShareLock";
    if ((!shared && row[4] != "ExclusiveLock") || (row[3] != "1" && row[3] != "2")) return std::nullopt;
    out.push_back({*pid, *high, *low, row[3] == "2", shared});
  }
  return out;
}

std::string query_of_depths(const std::vector<AdvisoryLock>& locks) {
  std::string out =
      "BEGIN ISOLATION LEVEL READ COMMITTED;\n"
      "SET LOCAL statement_timeout = 0;\nSET LOCAL lock_timeout = 0;\n";
  for (std::size_t i = 0; i < locks.size(); ++i) {
    const auto& lock = locks[i];
    out += "SELECT " + call(lock, "pg_advisory_xact_lock") + ";\n";
    out += fmt::format(
        "WITH RECURSIVE given(n, mine) AS (SELECT 0, true UNION ALL "
        "SELECT n OPERATOR(pg_catalog.+) 1, {} FROM given WHERE mine AND n OPERATOR(pg_catalog.<) {}), "
        "counted AS MATERIALIZED (SELECT pg_catalog.count(*) OPERATOR(pg_catalog.-) 1 AS depth FROM given WHERE mine), "
        "again AS MATERIALIZED (SELECT {} FROM pg_catalog.generate_series(1, (SELECT depth FROM counted))) "
        "SELECT 'depth', {}, depth, (SELECT pg_catalog.count(*) FROM again) FROM counted;\n",
        call(lock, "pg_advisory_unlock"), depth_max, call(lock, "pg_advisory_lock"), i);
  }
  return out + "COMMIT";
}

bool read_depths(const Exchange::Answer& answer, std::vector<AdvisoryLock>& locks) {
  if (!answer.ok()) return false;
  std::size_t i = 0;
  for (const auto& row : answer.rows) {
    if (row.size() != 4 || row[0] != "depth") continue;
    const auto depth = number(row[2]);
    if (i >= locks.size() || !depth || row[3] != row[2] || *depth >= depth_max) return false;
    locks[i++].depth = *depth;
  }
  return i == locks.size();
}

std::string query_taking(const std::vector<AdvisoryLock>& locks) {
  std::string out;
  for (const auto& lock : locks)
    if (lock.depth > 0)
      out += fmt::format("SELECT 'taken', {} FROM pg_catalog.generate_series(1, {});\n",
                         call(lock, "pg_try_advisory_lock"), lock.depth);
  return out;
}

bool all_taken(const Exchange::Answer& answer, const std::vector<AdvisoryLock>& locks) {
  if (!answer.ok()) return false;
  std::size_t wanted = 0, taken = 0;
  for (const auto& lock : locks) wanted += lock.depth;
  for (const auto& row : answer.rows) taken += row.size() == 2 && row[0] == "taken" && row[1] == "t";
  return taken == wanted;
}

}  // namespace foreshadow::kinds::pg_gateway
