#include "kinds/postgres/source.hpp"

#include <gtest/gtest.h>

#include <map>

#include "kinds/postgres/control.hpp"
#include "kinds/postgres/pair.hpp"
#include "kinds/postgres/processes.hpp"
#include "support/eventually.hpp"

namespace foreshadow::testing {
namespace {

using namespace std::chrono_literals;
using kinds::postgres::pg_settings;

std::map<std::string, std::optional<double>> read(observe::Source& source) {
  std::map<std::string, std::optional<double>> out;
  const auto readings = source.scrape({});
  EXPECT_TRUE(readings.has_value()) << readings.error().what;
  if (readings)
    for (const auto& r : *readings) out[r.signal] = r.value;
  return out;
}

TEST(PgSource, StatisticsOfAPrimaryAndItsStandby) {
  Pair pair;
  pair.make_shadow();
  const auto primary = kinds::postgres::statistics_source(pair.primary, *pg_settings({}));
  auto first = read(*primary);
  EXPECT_GE(*first["pg_connections"], 1);
  EXPECT_EQ(*first["pg_connections_max"], 100);
  EXPECT_GT(*first["pg_wal_bytes"], 0);
  EXPECT_GT(*first["pg_database_bytes"], 1e6);
  EXPECT_GT(*first["pg_xact_age"], 0);
  EXPECT_EQ(*first["pg_locks_waiting"], 0);
  EXPECT_FALSE(first["pg_replication_lag_seconds"].has_value()) << "a primary has no lag";
  EXPECT_FALSE(first["pg_transactions_rate"].has_value()) << "one scrape has no rate";
  EXPECT_TRUE(read(*primary)["pg_transactions_rate"].has_value());

  const auto standby = kinds::postgres::statistics_source(pair.shadow, *pg_settings({}));
  ASSERT_TRUE(eventually([&] { return read(*standby)["pg_replication_lag_bytes"] == 0.0; }));
  EXPECT_EQ(read(*standby)["pg_replication_lag_seconds"], 0.0);

  // A server that is gone is an error now, and readings again once it is back.
  pair.cluster.stop(PgStop::immediate);
  EXPECT_FALSE(primary->scrape({}).has_value());
  pair.cluster.start();
  EXPECT_TRUE(read(*primary)["pg_connections"].has_value());
}

TEST(PgSource, WhatTheRoleMayNotReadIsUnknown) {
  Pair pair;
  sql(pair.primary, "CREATE ROLE watcher LOGIN");
  const auto source = kinds::postgres::statistics_source(pair.primary, *pg_settings({{"user", "watcher"}}));
  auto readings = read(*source);
  EXPECT_FALSE(readings["pg_wal_bytes"].has_value());
  EXPECT_TRUE(readings["pg_connections_max"].has_value());
}

TEST(PgSource, ProbeTellsUpFromDownAndHung) {
  Pair pair;
  const auto probe = kinds::postgres::sql_probe_source(pair.primary, *pg_settings({{"connect_timeout", "300ms"}}));
  auto up = read(*probe);
  EXPECT_EQ(up["probe_up"], 1.0);
  EXPECT_GT(*up["probe_duration_seconds"], 0);
  ::kill(pair.cluster.pid(), SIGSTOP);
  auto hung = read(*probe);
  ::kill(pair.cluster.pid(), SIGCONT);
  EXPECT_EQ(hung["probe_up"], 0.0);
  EXPECT_FALSE(hung["probe_duration_seconds"].has_value());
  pair.cluster.stop(PgStop::immediate);
  EXPECT_EQ(read(*probe)["probe_up"], 0.0);
}

TEST(PgControl, DeadlinesStopsAndRefusals) {
  Pair pair;
  const auto settings = *pg_settings({});
  auto control = kinds::postgres::Control::connect(pair.primary.endpoint, settings, {});
  ASSERT_TRUE(control) << control.error().what;
  EXPECT_EQ(*control->value("SELECT $1::int + 1", 5s, {}, {"41"}), "42");
  EXPECT_EQ(*control->value("SELECT current_setting('application_name')", 5s, {}), "foreshadow");
  EXPECT_EQ(control->value("SELECT 1/0", 5s, {}).error().code, Code::refused);
  EXPECT_EQ(control->value("SELECT NULL", 5s, {}).error().code, Code::refused);
  EXPECT_FALSE(control->broken()) << "a refusal leaves the session in order";
  EXPECT_EQ(control->value("SELECT pg_sleep(20)", 100ms, {}).error().code, Code::timeout);
  EXPECT_TRUE(control->broken()) << "what was not waited for is of no use";
  EXPECT_EQ(control->value("SELECT 1", 5s, {}).error().code, Code::unreachable);

  auto other = kinds::postgres::Control::connect(pair.primary.endpoint, settings, {});
  ASSERT_TRUE(other);
  std::stop_source stop;
  std::jthread stopper([&] {
    eventually([&] {
      return sql(pair.primary, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(21)'") == "1";
    });
    stop.request_stop();
  });
  EXPECT_EQ(other->value("SELECT pg_sleep(21)", 20s, stop.get_token()).error().code, Code::cancelled);

  auto nobody = pair.primary.endpoint;
  nobody.port = 1;
  EXPECT_EQ(kinds::postgres::Control::connect(nobody, settings, {}).error().code, Code::unreachable);
  EXPECT_EQ(kinds::postgres::Control::connect({"a,b", 1}, settings, {}).error().code, Code::invalid);
  EXPECT_EQ(kinds::postgres::Control::connect(pair.primary.endpoint, *pg_settings({{"user", "nobody_here"}}), {})
                .error()
                .code,
            Code::refused);
  sql(pair.primary, "CREATE ROLE limited");
  EXPECT_EQ(
      kinds::postgres::Control::connect(pair.primary.endpoint, *pg_settings({{"database", "none"}}), {}).error().code,
      Code::refused);
}

}  // namespace
}  // namespace foreshadow::testing
