#include "kinds/postgres/source.hpp"

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

#include "kinds/postgres/control.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr Millis kQuery = 2s;

std::optional<double> number(const std::optional<std::string>& cell) {
  if (!cell || cell->empty()) return std::nullopt;
  double out = 0;
  const auto [end, error] = std::from_chars(cell->data(), cell->data() + cell->size(), out);
  if (error != std::errc{} || end != cell->data() + cell->size()) return std::nullopt;
  return out;
}

struct Reads {
  // Each row is one statement, so that one missing right costs only its own signals.
  const char* sql;
  std::vector<const char*> signals;
};

const std::vector<Reads>& reads() {
  static const std::vector<Reads> all{
      {"SELECT count(*) FILTER (WHERE backend_type = 'client backend'), current_setting('max_connections'), "
       "count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity",
       {"pg_connections", "pg_connections_max", "pg_locks_waiting"}},
      {"SELECT sum(size) FROM pg_ls_waldir()", {"pg_wal_bytes"}},
      {"SELECT sum(pg_database_size(oid)), max(age(datfrozenxid)) FROM pg_database WHERE datallowconn",
       {"pg_database_bytes", "pg_xact_age"}},
      // Behind by time only while there is something to replay: an idle primary does not make its standby old.
      {"SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL "
       "  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 "
       "  ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END, "
       "CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END",
       {"pg_replication_lag_seconds", "pg_replication_lag_bytes"}},
  };
  return all;
}

constexpr const char* kCounters =
    "SELECT sum(xact_commit + xact_rollback), (SELECT checkpoints_req FROM pg_stat_bgwriter) FROM pg_stat_database";
// PostgreSQL 17 moved the checkpointer's counters.
constexpr const char* kCounters17 =
    "SELECT sum(xact_commit + xact_rollback), (SELECT num_requested FROM pg_stat_checkpointer) FROM pg_stat_database";

class StatisticsSource final : public observe::Source {
 public:
  StatisticsSource(Instance instance, PgSettings settings)
      : instance_(std::move(instance)), settings_(std::move(settings)) {}
  std::string name() const override { return "pg_stat " + instance_.id; }

  Result<std::vector<observe::Reading>> scrape(std::stop_token stop) override {
    if (!control_ || control_->broken()) {
      control_.reset();
      before_.reset();
      auto made = Control::connect(instance_.endpoint, settings_, stop);
      if (!made) return tl::make_unexpected(made.error());
      control_ = std::move(*made);
    }
    std::vector<observe::Reading> out;
    for (const auto& read : reads()) {
      auto rows = control_->query(read.sql, kQuery, stop);
      if (!rows && rows.error().code != Code::refused) return tl::make_unexpected(rows.error());
      for (std::size_t i = 0; i < read.signals.size(); ++i)
        out.push_back(
            {instance_.id, read.signals[i], rows && !rows->empty() ? number(rows->at(0).at(i)) : std::nullopt});
    }
    FS_CHECK(rates(out, stop));
    return out;
  }

 private:
  struct Counters {
    Clock::time_point at;
    std::optional<double> transactions;
    std::optional<double> checkpoints;
  };

  Result<void> rates(std::vector<observe::Reading>& out, std::stop_token stop) {
    auto rows =
        control_->query(control_->server_version() >= 170000 ? kCounters17 : kCounters, kQuery, std::move(stop));
    if (!rows && rows.error().code != Code::refused) return tl::make_unexpected(rows.error());
    Counters now{Clock::now(), std::nullopt, std::nullopt};
    if (rows && !rows->empty()) {
      now.transactions = number(rows->at(0).at(0));
      now.checkpoints = number(rows->at(0).at(1));
    }
    const auto rate = [&](std::optional<double> Counters::* member) -> std::optional<double> {
      if (!before_ || !(now.*member) || !((*before_).*member)) return std::nullopt;
      const auto seconds = std::chrono::duration<double>(now.at - before_->at).count();
      const auto grown = *(now.*member) - *((*before_).*member);
      // Counters fall when statistics are reset.
      if (seconds <= 0 || grown < 0) return std::nullopt;
      return grown / seconds;
    };
    out.push_back({instance_.id, "pg_transactions_rate", rate(&Counters::transactions)});
    out.push_back({instance_.id, "pg_checkpoints_requested_rate", rate(&Counters::checkpoints)});
    before_ = now;
    return {};
  }

  const Instance instance_;
  const PgSettings settings_;
  std::optional<Control> control_;
  std::optional<Counters> before_;
};

class SqlProbeSource final : public observe::Source {
 public:
  SqlProbeSource(Instance instance, PgSettings settings)
      : instance_(std::move(instance)), settings_(std::move(settings)) {}
  std::string name() const override { return "sql probe " + instance_.id; }

  Result<std::vector<observe::Reading>> scrape(std::stop_token stop) override {
    const auto began = Clock::now();
    const auto answered = [&]() -> Result<void> {
      FS_TRY(control, Control::connect(instance_.endpoint, settings_, stop));
      FS_TRY(one, control.value("SELECT 1", settings_.connect_timeout, stop));
      static_cast<void>(one);
      return {};
    }();
    if (!answered && (answered.error().code == Code::cancelled || answered.error().code == Code::invalid))
      return tl::make_unexpected(answered.error());
    const auto took = std::chrono::duration<double>(Clock::now() - began).count();
    return std::vector<observe::Reading>{
        {instance_.id, "probe_up", answered ? 1.0 : 0.0},
        {instance_.id, "probe_duration_seconds", answered ? std::optional<double>(took) : std::nullopt}};
  }

 private:
  const Instance instance_;
  const PgSettings settings_;
};

}  // namespace

std::unique_ptr<observe::Source> statistics_source(Instance instance, PgSettings settings) {
  return std::make_unique<StatisticsSource>(std::move(instance), std::move(settings));
}
std::unique_ptr<observe::Source> sql_probe_source(Instance instance, PgSettings settings) {
  return std::make_unique<SqlProbeSource>(std::move(instance), std::move(settings));
}

}  // namespace foreshadow::kinds::postgres
