// Sessions while the ground moves: holds, seals, a fenced primary, a promoted standby, reads on the shadow, mirrored
// reads.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "edge.hpp"

namespace foreshadow {
namespace {

using namespace foreshadow::testing;

HoldPolicy policy(Millis budget = Millis{3000}) {
  HoldPolicy p;
  p.lease = Millis{20'000};
  p.budget = budget;
  p.park_max = Millis{20'000};
  return p;
}

class PgHandover : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
    PgOptions options;
    options.hba = {"host all scram 127.0.0.1/32 scram-sha-256"};
    primary_.init(a_.path(), options);
    primary_.start();
    primary_.exec(
        "CREATE ROLE scram LOGIN SUPERUSER PASSWORD 'secret';"
        "CREATE TABLE t(id serial PRIMARY KEY, client int, n int); CREATE TABLE facts AS SELECT generate_series(1,100) "
        "x");
    standby_.basebackup_from(primary_, b_.path(), options);
    standby_.start();
    standby_.wait_caught_up(primary_);
    a = instance_of(primary_, "a", true);
    b = instance_of(standby_, "b", true);
    edge_ = std::make_unique<Edge>(settings_of(a));
  }
  void TearDown() override { edge_.reset(); }

  // The part of the engine and the agent: everything between the gateway's seal and its next epoch.
  void move_to_standby() {
    ASSERT_TRUE(edge_->hold(1, policy()));
    standby_.wait_caught_up(primary_);
    ASSERT_TRUE(edge_->seal(1));
    primary_.kill();
    standby_.promote();
    edge_->put_in_force(table_of(1, 1, b));
  }
  bool warm(int sessions) {
    return eventually([&] {
      return standby_.exec(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type='client backend' AND pid <> "
                 "pg_backend_pid()") == std::to_string(sessions);
    });
  }

  PgDirectory a_, b_;
  PgCluster primary_, standby_;
  Instance a, b;
  std::unique_ptr<Edge> edge_;
};

TEST_F(PgHandover, idle_and_busy_sessions_follow_without_an_error) {
  constexpr int clients = 8;
  Client idle(edge_->port()), with_settings(edge_->port(), "options='-c work_mem=3MB'");
  ASSERT_TRUE(idle.query("SELECT 1").ok);
  ASSERT_TRUE(with_settings.query("SET work_mem = '9MB'").ok);
  ASSERT_TRUE(with_settings.query("SET TIME ZONE 'Asia/Tokyo'").ok);
  ASSERT_TRUE(with_settings.query("BEGIN; SET statement_timeout = '77s'; ROLLBACK").ok);
  edge_->put_in_force(table_of(0, 1, a, b));
  ASSERT_TRUE(warm(2)) << "sessions open their connection to the shadow ahead of time";
  EXPECT_EQ(edge_->unmovable(), 0);

  std::atomic<bool> stop = false;
  std::atomic<int> committed = 0, failed = 0, since_move = 0;
  std::atomic<bool> moved = false;
  std::vector<std::thread> load;
  std::mutex mutex;
  std::string first_error;
  for (int i = 0; i < clients; ++i)
    load.emplace_back([&, i] {
      Client c(edge_->port());
      for (int n = 0; !stop; ++n) {
        const std::string who = std::to_string(i), what = std::to_string(n);
        Answer answers[] = {c.query("BEGIN"), c.extended("INSERT INTO t(client, n) VALUES ($1, $2)", {who, what}),
                            c.query("SELECT count(*) FROM facts"), c.query("COMMIT")};
        bool ok = true;
        for (const auto& answer : answers) {
          if (answer.ok) continue;
          ok = false;
          const std::lock_guard lock(mutex);
          if (first_error.empty()) first_error = answer.sqlstate + " " + answer.error;
        }
        if (!ok) {
          ++failed;
          return;
        }
        ++committed;
        if (moved) ++since_move;
      }
    });
  ASSERT_TRUE(eventually([&] { return committed > 200; }));
  ASSERT_TRUE(warm(clients + 2));
  move_to_standby();
  moved = true;
  EXPECT_TRUE(eventually([&] { return since_move > 200 || failed > 0; }));
  stop = true;
  for (auto& t : load) t.join();
  EXPECT_EQ(failed, 0) << first_error;
  EXPECT_EQ(standby_.exec("SELECT count(*) FROM t"), std::to_string(committed))
      << "acknowledged and present are the same";
  EXPECT_EQ(standby_.exec("SELECT count(*) FROM (SELECT client, n FROM t GROUP BY 1, 2 HAVING count(*) > 1) d"), "0");

  EXPECT_EQ(idle.query("SELECT pg_is_in_recovery()").value, "f")
      << "the idle session moves when its next statement comes";
  EXPECT_TRUE(idle.query("INSERT INTO t(client, n) VALUES (99, 99)").ok);
  EXPECT_EQ(with_settings.query("SHOW work_mem").value, "9MB");
  EXPECT_EQ(with_settings.query("SHOW TimeZone").value, "Asia/Tokyo");
  EXPECT_EQ(with_settings.query("SHOW statement_timeout").value, "0");
  EXPECT_EQ(edge_->report().in_flight, 0);
}

// A fence sends SIGQUIT, on which a server still warns its sessions.
TEST_F(PgHandover, an_idle_session_hears_nothing_of_the_fence) {
  Client idle(edge_->port());
  std::string heard;
  PQsetNoticeProcessor(
      idle.raw(), [](void* into, const char* text) { *static_cast<std::string*>(into) += text; }, &heard);
  ASSERT_TRUE(idle.query("SELECT 1").ok);
  edge_->put_in_force(table_of(0, 1, a, b));
  ASSERT_TRUE(edge_->hold(1, policy()));
  standby_.wait_caught_up(primary_);
  ASSERT_TRUE(edge_->seal(1));
  primary_.stop(PgStop::immediate);
  standby_.promote();
  edge_->put_in_force(table_of(1, 1, b));
  EXPECT_EQ(idle.query("SELECT pg_is_in_recovery()").value, "f");
  EXPECT_EQ(heard, "");
}

// Somebody else's client, somebody else's bookkeeping: every acknowledged transaction is in the history, and the sums
// agree.
TEST_F(PgHandover, pgbench_does_not_notice) {
  PgCluster::run({PgCluster::bin_dir() + "/pgbench", "-i", "-s", "2", "-q", primary_.conninfo()});
  edge_->put_in_force(table_of(0, 1, a, b));
  const std::string through = "host=127.0.0.1 dbname=postgres user=postgres port=" + std::to_string(edge_->port());
  std::vector<std::string> said(2);
  // One client where each transaction brings its own connection: pgbench blocks in a login, so with two of them the one
  // would wait at the gate while the other's open transaction keeps the gate from draining.
  std::vector<std::thread> loads;
  const std::vector<std::vector<std::string>> modes = {{"-M", "extended", "-c", "6"},
                                                       {"-M", "simple", "-c", "1", "-C"}};
  for (std::size_t i = 0; i < modes.size(); ++i)
    loads.emplace_back([&, i] {
      std::vector<std::string> argv{PgCluster::bin_dir() + "/pgbench", "-n", "-T", "6"};
      argv.insert(argv.end(), modes[i].begin(), modes[i].end());
      argv.push_back(through);
      try {
        said[i] = PgCluster::run(argv);
      } catch (const std::exception& e) {
        said[i] = e.what();
      }
    });
  EXPECT_TRUE(eventually([&] { return primary_.exec("SELECT count(*) > 100 FROM pgbench_history") == "t"; }));
  move_to_standby();
  for (auto& t : loads) t.join();
  int processed = 0;
  for (const auto& text : said) {
    EXPECT_NE(text.find("number of failed transactions: 0 "), std::string::npos) << text;
    EXPECT_EQ(text.find("aborted"), std::string::npos) << text;
    const auto at = text.find("actually processed: ");
    if (at != std::string::npos) processed += std::atoi(text.c_str() + at + 20);
  }
  EXPECT_EQ(standby_.exec("SELECT count(*) FROM pgbench_history"), std::to_string(processed));
  EXPECT_EQ(
      standby_.exec("SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)"),
      "t");
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgHandover, one_session_goes_through_two_handovers) {
  Client c(edge_->port()), reports(edge_->port(), "application_name=reports");
  ASSERT_TRUE(c.query("SET work_mem = '9MB'").ok);
  edge_->put_in_force(table_of(0, 1, a, b));
  ASSERT_TRUE(warm(2));
  move_to_standby();
  EXPECT_TRUE(c.query("INSERT INTO t(client, n) VALUES (1, 1)").ok);

  PgDirectory third_dir;
  PgCluster third;
  third.basebackup_from(standby_, third_dir.path());
  third.start();
  const Instance third_instance = instance_of(third, "c", true);
  edge_->put_in_force(table_of(1, 2, b, third_instance, 1.0));
  EXPECT_EQ(reports.query("SELECT pg_is_in_recovery()").value, "t");
  ASSERT_TRUE(eventually([&] {
    return third.exec("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == "3";
  })) << third.exec("SELECT string_agg(application_name || ' ' || state || ' ' || query, '; ') FROM pg_stat_activity");
  ASSERT_TRUE(edge_->hold(2, policy()));
  third.wait_caught_up(standby_);
  ASSERT_TRUE(edge_->seal(2));
  standby_.kill();
  third.promote();
  edge_->put_in_force(table_of(2, 1, third_instance));
  EXPECT_TRUE(c.query("INSERT INTO t(client, n) VALUES (2, 2)").ok);
  EXPECT_EQ(c.query("SHOW work_mem").value, "9MB");
  EXPECT_EQ(reports.query("SELECT pg_is_in_recovery()").value, "f");
  EXPECT_EQ(third.exec("SELECT string_agg(n::text, ',' ORDER BY n) FROM t"), "1,2");
  EXPECT_EQ(edge_->unmovable(), 0);
}

TEST_F(PgHandover, an_unnamed_statement_parsed_before_a_handover_is_bound_after_it) {
  Client c(edge_->port());
  EXPECT_TRUE(c.take(PQprepare(c.raw(), "", "SELECT $1::int + 1", 0, nullptr)).ok);
  edge_->put_in_force(table_of(0, 1, a, b));
  ASSERT_TRUE(warm(1));
  EXPECT_EQ(edge_->unmovable(), 0);
  move_to_standby();
  const char* values[] = {"41"};
  EXPECT_EQ(c.take(PQexecPrepared(c.raw(), "", 1, values, nullptr, nullptr, 0)).value, "42");
}

TEST_F(PgHandover, idle_sessions_outlive_a_fenced_primary_while_sealed) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("SELECT 1").ok);
  edge_->put_in_force(table_of(0, 1, a, b));
  ASSERT_TRUE(warm(1));
  ASSERT_TRUE(edge_->hold(1, policy()));
  ASSERT_TRUE(edge_->seal(1));
  primary_.kill();
  // A statement sent now waits, and is answered by the next epoch.
  ASSERT_EQ(PQsendQuery(c.raw(), "INSERT INTO t(client, n) VALUES (1, 1) RETURNING n"), 1);
  ASSERT_TRUE(eventually([&] { return edge_->report().parked == 1; }));
  EXPECT_EQ(edge_->report().sessions, 1);
  standby_.promote();
  edge_->put_in_force(table_of(1, 1, b));
  EXPECT_EQ(c.take(PQgetResult(c.raw())).value, "1");
}

// Also while its server has nothing to do: a hold waits for the client's pauses in a transaction, too.
TEST_F(PgHandover, what_a_hold_would_wait_for_is_told_with_the_pauses_in_it) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("BEGIN").ok);
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() - began > std::chrono::milliseconds{50}; }));
  ASSERT_TRUE(c.query("COMMIT").ok);
  const auto report = edge_->report();
  ASSERT_TRUE(report.work_lengths);
  EXPECT_GE(report.work_lengths->quantile_us(1), 50'000);
}

TEST_F(PgHandover, a_held_statement_can_be_cancelled_and_does_nothing) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("SELECT 1").ok);
  ASSERT_TRUE(edge_->hold(1, policy()));
  ASSERT_EQ(PQsendQuery(c.raw(), "INSERT INTO t(client, n) VALUES (1, 1)"), 1);
  ASSERT_TRUE(eventually([&] { return edge_->report().parked == 1; }));
  PGcancel* cancel = PQgetCancel(c.raw());
  char error[256];
  EXPECT_EQ(PQcancel(cancel, error, sizeof error), 1);
  PQfreeCancel(cancel);
  EXPECT_EQ(c.take(PQgetResult(c.raw())).sqlstate, "57014");
  while (PGresult* r = PQgetResult(c.raw())) PQclear(r);
  edge_->release(1);
  EXPECT_EQ(c.query("SELECT count(*) FROM t").value, "0");
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgHandover, work_parked_too_long_gets_an_honest_error_and_the_session_goes_on) {
  Client simple(edge_->port()), extended(edge_->port());
  auto p = policy();
  p.park_max = Millis{50};
  ASSERT_TRUE(edge_->hold(1, p));
  EXPECT_EQ(simple.query("INSERT INTO t(client, n) VALUES (1, 1)").sqlstate, "57P03");
  EXPECT_EQ(extended.extended("INSERT INTO t(client, n) VALUES ($1, 1)", {"1"}).sqlstate, "57P03");
  edge_->release(1);
  EXPECT_EQ(simple.query("SELECT count(*) FROM t").value, "0");
  EXPECT_EQ(extended.extended("SELECT count(*) FROM t").value, "0");
}

TEST_F(PgHandover, an_open_transaction_is_waited_for_and_never_killed) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("BEGIN").ok);
  ASSERT_TRUE(c.query("INSERT INTO t(client, n) VALUES (1, 1)").ok);
  EXPECT_EQ(edge_->hold(1, policy(Millis{100})).error().code, Code::timeout);
  EXPECT_TRUE(c.query("COMMIT").ok);
  EXPECT_TRUE(edge_->hold(1, policy()));
  edge_->release(1);
  EXPECT_EQ(c.query("SELECT count(*) FROM t").value, "1");
}

TEST_F(PgHandover, parked_work_runs_in_the_order_it_came) {
  constexpr int clients = 12;
  std::vector<std::unique_ptr<Client>> all;
  for (int i = 0; i < clients; ++i) all.push_back(std::make_unique<Client>(edge_->port()));
  ASSERT_TRUE(edge_->hold(1, policy()));
  for (int i = 0; i < clients; ++i) {
    ASSERT_EQ(
        PQsendQuery(
            all[static_cast<std::size_t>(i)]->raw(),
            ("BEGIN; LOCK TABLE t; INSERT INTO t(client, n) VALUES (" + std::to_string(i) + ", 0); COMMIT").c_str()),
        1);
    ASSERT_TRUE(eventually([&] { return edge_->report().parked == i + 1; }));
  }
  edge_->release(1);
  for (auto& c : all)
    while (PGresult* r = PQgetResult(c->raw())) EXPECT_TRUE(c->take(r).ok);
  EXPECT_EQ(primary_.exec("SELECT count(*) FROM t"), std::to_string(clients));
}

TEST_F(PgHandover, a_session_whose_password_is_unknown_is_marked_until_it_is_known) {
  std::ofstream(a_.path() + "/pass") << "127.0.0.1:*:*:other:x\n";
  chmod((a_.path() + "/pass").c_str(), 0600);
  edge_.reset();
  auto settings = settings_of(a);
  settings.options["password_file"] = a_.path() + "/pass";
  edge_ = std::make_unique<Edge>(settings);
  Client c(edge_->port(), "user=scram password=secret");
  ASSERT_TRUE(c.connected()) << c.why();
  EXPECT_EQ(edge_->unmovable(), 0);
  edge_->put_in_force(table_of(0, 1, a, b));
  ASSERT_TRUE(eventually([&] { return edge_->unmovable() == 1; }));
  EXPECT_NE(edge_->why_unmovable().find("server asks for a password"), std::string::npos) << edge_->why_unmovable();
  EXPECT_EQ(edge_->hold(1, policy()).error().code, Code::refused);

  std::ofstream(a_.path() + "/pass") << "127.0.0.1:*:*:scram:secret\n";
  ASSERT_TRUE(eventually([&] { return edge_->unmovable() == 0; }));
  ASSERT_TRUE(warm(1));
  move_to_standby();
  EXPECT_EQ(c.query("INSERT INTO t(client, n) VALUES (1, 1) RETURNING n").value, "1");
}

TEST_F(PgHandover, a_pinned_session_is_ended_honestly_when_it_is_moved_anyway) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("CREATE TEMP TABLE mine(x int)").ok);
  EXPECT_EQ(edge_->hold(1, policy()).error().code, Code::refused);
  edge_->put_in_force(table_of(1, 1, b));
  ASSERT_EQ(PQsendQuery(c.raw(), "SELECT 1"), 1);
  const auto lost = c.take(PQgetResult(c.raw()));
  EXPECT_EQ(lost.sqlstate, "57P01");
  EXPECT_NE(lost.error.find("temporary table"), std::string::npos) << lost.error;
}

TEST_F(PgHandover, new_logins_during_a_hold_wait_and_then_come_in) {
  ASSERT_TRUE(edge_->hold(1, policy()));
  std::atomic<bool> in = false;
  Answer answer;
  std::thread late([&] {
    Client c(edge_->port());
    answer = c.query("SELECT pg_is_in_recovery()");
    in = true;
  });
  EXPECT_TRUE(eventually([&] { return edge_->report().parked == 1; }));
  EXPECT_FALSE(in);
  ASSERT_TRUE(edge_->seal(1));
  primary_.kill();
  standby_.promote();
  edge_->put_in_force(table_of(1, 1, b));
  late.join();
  EXPECT_EQ(answer.value, "f") << answer.error;
}

TEST_F(PgHandover, reads_shift_by_transaction_and_come_back) {
  Client reports(edge_->port(), "application_name=reports"), app(edge_->port());
  const auto where = [](Client& c) { return c.query("SELECT pg_is_in_recovery()").value; };
  EXPECT_EQ(where(reports), "f");
  edge_->put_in_force(table_of(0, 1, a, b, 1.0));
  ASSERT_TRUE(reports.query("SET work_mem = '11MB'").ok);
  EXPECT_EQ(where(reports), "t");
  EXPECT_EQ(reports.query("SHOW work_mem").value, "11MB");
  EXPECT_EQ(where(app), "f") << "a segment that writes stays";
  EXPECT_EQ(reports.query("CREATE TABLE no(x int)").sqlstate, "25006");
  ASSERT_TRUE(reports.query("BEGIN").ok);
  EXPECT_EQ(where(reports), "t");
  edge_->put_in_force(table_of(0, 2, a, b, 0.0));
  EXPECT_EQ(where(reports), "t") << "a transaction stays where it began";
  ASSERT_TRUE(reports.query("COMMIT").ok);
  EXPECT_EQ(where(reports), "f");
  EXPECT_EQ(reports.query("SHOW work_mem").value, "11MB");

  // Half of them: both sides see some.
  edge_->put_in_force(table_of(0, 3, a, b, 0.5));
  int shadow = 0;
  for (int i = 0; i < 100; ++i) shadow += where(reports) == "t";
  EXPECT_GT(shadow, 20);
  EXPECT_LT(shadow, 80);
  EXPECT_GE(edge_->report().segments.at(0).other.requests, 20U);

  // A dead shadow costs its readers nothing but the attempt.
  edge_->put_in_force(table_of(0, 4, a, b, 1.0));
  standby_.kill();
  EXPECT_EQ(where(reports), "f");
  EXPECT_EQ(where(reports), "f");
  EXPECT_GE(edge_->report().segments.at(0).other.errors, 1U);
  EXPECT_EQ(edge_->report().segments.at(0).current.errors, 0U);
}

TEST_F(PgHandover, reads_are_mirrored_compared_and_never_waited_for) {
  Client reports(edge_->port(), "application_name=reports");
  edge_->put_in_force(table_of(0, 1, a, b, 0.0, 1.0));
  const auto mirror = [&] { return edge_->report().segments.at(0).mirror; };
  EXPECT_EQ(reports.query("SELECT * FROM facts").value, "1");
  EXPECT_EQ(reports.extended("SELECT x FROM facts WHERE x > $1::int", {"50"}).value, "51");
  ASSERT_TRUE(eventually([&] { return mirror().sent == 2; }));
  EXPECT_EQ(mirror().mismatched, 0U);
  EXPECT_EQ(mirror().errors, 0U);

  // Not reads that a standby may repeat.
  primary_.exec("CREATE TABLE side(x int)");
  for (const char* sql : {"INSERT INTO side VALUES (1)", "SELECT * FROM facts FOR UPDATE", "SELECT pg_sleep(0)",
                          "WITH d AS (DELETE FROM side RETURNING 1) SELECT * FROM d", "BEGIN", "SELECT 1", "COMMIT"})
    ASSERT_TRUE(reports.query(sql).ok) << sql;
  EXPECT_EQ(mirror().sent + mirror().dropped, 2U);

  // A shadow that lies is noticed.
  standby_.exec("SELECT pg_wal_replay_pause()");
  primary_.exec("INSERT INTO facts VALUES (1000)");
  EXPECT_TRUE(reports.query("SELECT * FROM facts").ok);
  ASSERT_TRUE(eventually([&] { return mirror().sent == 3; }));
  EXPECT_EQ(mirror().mismatched, 1U);

  // A dead one costs nothing.
  standby_.kill();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(reports.query("SELECT 1").ok);
  ASSERT_TRUE(eventually([&] { return mirror().errors + mirror().dropped > 0; }));
  EXPECT_EQ(edge_->report().segments.at(0).current.errors, 0U);
}

TEST_F(PgHandover, mirrored_statements_never_reach_a_server_that_can_write) {
  Client reports(edge_->port(), "application_name=reports");
  primary_.exec(
      "CREATE SEQUENCE counted; CREATE FUNCTION bump() RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''counted'')'");
  PgDirectory c_;
  PgCluster writable;
  writable.init(c_.path());
  writable.start();
  writable.exec(
      "CREATE SEQUENCE counted; CREATE FUNCTION bump() RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''counted'')'");
  edge_->put_in_force(table_of(0, 1, a, instance_of(writable, "c", true), 0.0, 1.0));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(reports.query("SELECT bump()").ok);
  ASSERT_TRUE(eventually([&] { return edge_->report().segments.at(0).mirror.dropped > 0; }));
  EXPECT_EQ(writable.exec("SELECT is_called FROM counted"), "f");
}

TEST_F(PgHandover, a_primary_that_is_away_for_a_moment_is_waited_for) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("SELECT 1").ok);
  primary_.stop(PgStop::immediate);
  std::atomic<bool> done = false;
  Answer answer;
  std::thread asks([&] {
    answer = c.query("INSERT INTO t(client, n) VALUES (1, 1) RETURNING n");
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return edge_->report().segments.at(1).current.errors > 0; }));
  primary_.start();
  asks.join();
  EXPECT_EQ(answer.value, "1") << answer.error;
}

}  // namespace
}  // namespace foreshadow
