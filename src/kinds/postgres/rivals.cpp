#include "kinds/postgres/rivals.hpp"

#include <sys/stat.h>

#include <chrono>

namespace foreshadow::kinds::postgres {
namespace {

struct Trace {
  const char* file;
  const char* rival;
};
// patroni/postgresql/config.py; pg_auto_failover pgsetup.h.
constexpr Trace kTraces[] = {
    {"patroni.dynamic.json", "Patroni"},
    {"postgresql.base.conf", "Patroni"},
    {"postgresql-auto-failover.conf", "pg_auto_failover"},
    {"postgresql-auto-failover-standby.conf", "pg_auto_failover"},
    {"repmgr.conf", "repmgr"},
};

}  // namespace

std::optional<std::string> rival_in_files(const std::string& data_dir) {
  for (const auto& trace : kTraces) {
    struct stat st{};
    if (::stat((data_dir + "/" + trace.file).c_str(), &st) == 0)
      return std::string(trace.rival) + " (" + trace.file + " in " + data_dir + ")";
  }
  return std::nullopt;
}

Result<void> refuse_rival(const std::optional<std::string>& rival) {
  if (!rival) return {};
  return fail(Code::refused,
              "no promotion: " + *rival + " is in charge of this cluster; hand over with its own switchover");
}

Result<std::optional<std::string>> rival_in_server(Control& control, std::stop_token stop) {
  FS_TRY(rows, control.query(R"(
    SELECT 'repmgr (extension repmgr)' FROM pg_catalog.pg_extension WHERE extname = 'repmgr'
    UNION ALL SELECT 'repmgr (schema repmgr)' FROM pg_catalog.pg_namespace WHERE nspname = 'repmgr'
    UNION ALL SELECT 'pg_auto_failover (extension pgautofailover)' FROM pg_catalog.pg_extension
      WHERE extname = 'pgautofailover'
    UNION ALL SELECT 'pg_auto_failover (standby name ' || setting || ')' FROM pg_catalog.pg_settings
      WHERE name = 'synchronous_standby_names' AND setting LIKE '%pgautofailover_standby%'
    UNION ALL SELECT 'CloudNativePG (setting ' || name || ')' FROM pg_catalog.pg_settings WHERE name LIKE 'cnpg.%'
    UNION ALL SELECT application_name || ' (is connected)' FROM pg_catalog.pg_stat_activity
      WHERE application_name ILIKE 'patroni%' OR application_name ILIKE 'repmgr%'
        OR application_name ILIKE 'pg_auto_failover%' OR application_name ILIKE 'pgautofailover%'
        OR application_name ILIKE 'cnpg%'
    LIMIT 1)",
                             std::chrono::seconds(5), std::move(stop)));
  if (rows.empty() || rows[0].empty()) return std::optional<std::string>();
  return rows[0][0];
}

}  // namespace foreshadow::kinds::postgres
