// Real clients (libpq) through a real listener to a real server: what a client can see of the gateway when nothing
// moves.
#include <gtest/gtest.h>

#include <atomic>

#include "edge.hpp"

namespace foreshadow {
namespace {

using namespace foreshadow::testing;

class PgSession : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PgCluster::available()) return;
    directory_ = std::make_unique<PgDirectory>();
    server_ = std::make_unique<PgCluster>();
    PgOptions options;
    options.settings["password_encryption"] = "scram-sha-256";
    options.hba = {"host all scram 127.0.0.1/32 scram-sha-256", "host all md5 127.0.0.1/32 md5",
                   "host all plain 127.0.0.1/32 password", "host all nobody 127.0.0.1/32 reject"};
    server_->init(directory_->path(), options);
    server_->start();
    server_->exec(
        "CREATE TABLE t(id int PRIMARY KEY, v text); CREATE ROLE scram LOGIN PASSWORD 'pässword, with=commas';"
        "CREATE ROLE plain LOGIN PASSWORD 'plain'; CREATE ROLE nobody LOGIN;"
        "SET password_encryption='md5'; CREATE ROLE md5 LOGIN PASSWORD 'md5'; GRANT ALL ON t TO PUBLIC");
  }
  static void TearDownTestSuite() {
    server_.reset();
    directory_.reset();
  }
  void SetUp() override {
    ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
    server_->exec("TRUNCATE t");
    edge_ = std::make_unique<Edge>(settings_of(instance_of(*server_, "a", true)));
  }
  void TearDown() override {
    edge_.reset();
    if (server_)
      EXPECT_TRUE(eventually([&] {
        return server_->exec("SELECT count(*) FROM pg_stat_activity WHERE backend_type='client backend'") == "1";
      })) << "sessions were left behind on the server";
  }

  // Ends a backend and waits until it is gone: a statement sent while it dies has an outcome nobody can know.
  static void terminate(const std::string& pid) {
    server_->exec("SELECT pg_terminate_backend(" + pid + ")");
    EXPECT_TRUE(
        eventually([&] { return server_->exec("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid) == "0"; }));
    EXPECT_TRUE(eventually([&] { return ::kill(std::stoi(pid), 0) != 0; }));
  }

  static std::unique_ptr<PgDirectory> directory_;
  static std::unique_ptr<PgCluster> server_;
  std::unique_ptr<Edge> edge_;
};
std::unique_ptr<PgDirectory> PgSession::directory_;
std::unique_ptr<PgCluster> PgSession::server_;

TEST_F(PgSession, simple_and_extended_statements) {
  Client c(edge_->port());
  ASSERT_TRUE(c.connected()) << c.why();
  EXPECT_EQ(c.query("SELECT 40 + 2").value, "42");
  EXPECT_EQ(c.query("SELECT 1; SELECT 2").value, "2");
  EXPECT_TRUE(c.query("").sqlstate.empty());
  EXPECT_TRUE(c.extended("INSERT INTO t VALUES ($1, $2)", {"1", "one"}).ok);
  EXPECT_EQ(c.extended("SELECT v FROM t WHERE id = $1", {"1"}).value, "one");
  EXPECT_EQ(c.query("SELECT nonsense").sqlstate, "42703");
  EXPECT_EQ(c.extended("SELECT 1/$1::int", {"0"}).sqlstate, "22012");
  EXPECT_EQ(c.query("SELECT 1").value, "1");
  EXPECT_EQ(edge_->report().in_flight, 0);
  EXPECT_EQ(edge_->report().sessions, 1);
}

TEST_F(PgSession, transactions_survive_an_error_inside_them) {
  Client c(edge_->port());
  EXPECT_TRUE(c.query("BEGIN").ok);
  EXPECT_EQ(edge_->report().in_flight, 1) << "an open transaction holds its leave";
  EXPECT_TRUE(c.query("INSERT INTO t VALUES (1, 'x')").ok);
  EXPECT_FALSE(c.query("INSERT INTO t VALUES (1, 'x')").ok);
  EXPECT_EQ(c.query("SELECT 1").sqlstate, "25P02");
  EXPECT_TRUE(c.query("ROLLBACK").ok);
  EXPECT_EQ(c.query("SELECT count(*) FROM t").value, "0");
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgSession, prepared_statements_pipelines_and_cursors) {
  Client c(edge_->port());
  EXPECT_TRUE(c.take(PQprepare(c.raw(), "ins", "INSERT INTO t VALUES ($1, 'p')", 1, nullptr)).ok);
  EXPECT_EQ(edge_->unmovable(), 0);
  ASSERT_EQ(PQenterPipelineMode(c.raw()), 1);
  constexpr int many = 3000;
  for (int i = 0; i < many; ++i) {
    const std::string id = std::to_string(i);
    const char* values[] = {id.c_str()};
    ASSERT_EQ(PQsendQueryPrepared(c.raw(), "ins", 1, values, nullptr, nullptr, 0), 1);
    if (i % 3 == 0) ASSERT_EQ(PQpipelineSync(c.raw()), 1);
  }
  ASSERT_EQ(PQpipelineSync(c.raw()), 1);
  int done = 0, syncs = 0;
  while (syncs < many / 3 + 1) {
    PGresult* r = PQgetResult(c.raw());
    if (!r) continue;
    if (PQresultStatus(r) == PGRES_COMMAND_OK) ++done;
    if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) ++syncs;
    PQclear(r);
  }
  EXPECT_EQ(done, many);
  ASSERT_EQ(PQexitPipelineMode(c.raw()), 1);
  EXPECT_EQ(c.query("SELECT count(*) FROM t").value, std::to_string(many));
  EXPECT_TRUE(c.query("DEALLOCATE ALL").ok);
  EXPECT_EQ(edge_->unmovable(), 0);
  EXPECT_TRUE(c.query("BEGIN; DECLARE k CURSOR FOR SELECT id FROM t ORDER BY id").ok);
  EXPECT_EQ(c.query("FETCH 5 FROM k").value, "0");
  EXPECT_TRUE(c.query("COMMIT").ok);
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgSession, an_aborted_pipeline_ends_at_its_sync) {
  Client c(edge_->port());
  ASSERT_EQ(PQenterPipelineMode(c.raw()), 1);
  for (const char* sql : {"INSERT INTO t VALUES (1)", "SELECT 1/0", "INSERT INTO t VALUES (2)"})
    ASSERT_EQ(PQsendQueryParams(c.raw(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
  ASSERT_EQ(PQpipelineSync(c.raw()), 1);
  ASSERT_EQ(PQsendQueryParams(c.raw(), "INSERT INTO t VALUES (3)", 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
  ASSERT_EQ(PQpipelineSync(c.raw()), 1);
  std::string seen;
  for (int syncs = 0; syncs < 2;) {
    PGresult* r = PQgetResult(c.raw());
    if (!r) continue;
    switch (PQresultStatus(r)) {
      case PGRES_COMMAND_OK:
        seen += 'c';
        break;
      case PGRES_FATAL_ERROR:
        seen += 'e';
        break;
      case PGRES_PIPELINE_ABORTED:
        seen += 'a';
        break;
      case PGRES_PIPELINE_SYNC:
        seen += 's', ++syncs;
        break;
      default:
        seen += '?';
    }
    PQclear(r);
  }
  EXPECT_EQ(seen, "ceascs");
  ASSERT_EQ(PQexitPipelineMode(c.raw()), 1);
  EXPECT_EQ(c.query("SELECT string_agg(id::text, ',') FROM t").value, "3");
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgSession, copy_in_and_out_by_both_protocols) {
  Client c(edge_->port());
  const auto copy_in = [&](bool extended, int from, int rows) {
    PGresult* r = extended ? PQexecParams(c.raw(), "COPY t FROM STDIN", 0, nullptr, nullptr, nullptr, nullptr, 0)
                           : PQexec(c.raw(), "COPY t FROM STDIN");
    ASSERT_EQ(PQresultStatus(r), PGRES_COPY_IN) << PQerrorMessage(c.raw());
    PQclear(r);
    for (int i = from; i < from + rows; ++i) {
      const std::string line = std::to_string(i) + "\t" + std::string(200, 'x') + "\n";
      ASSERT_EQ(PQputCopyData(c.raw(), line.data(), static_cast<int>(line.size())), 1);
    }
    ASSERT_EQ(PQputCopyEnd(c.raw(), nullptr), 1);
    r = PQgetResult(c.raw());
    EXPECT_EQ(PQresultStatus(r), PGRES_COMMAND_OK) << PQerrorMessage(c.raw());
    PQclear(r);
    while ((r = PQgetResult(c.raw()))) PQclear(r);
    EXPECT_EQ(edge_->report().in_flight, 0);
  };
  copy_in(false, 0, 5000);
  copy_in(true, 5000, 5000);
  EXPECT_EQ(c.query("SELECT count(*) FROM t").value, "10000");

  PGresult* r = PQexec(c.raw(), "COPY t TO STDOUT");
  ASSERT_EQ(PQresultStatus(r), PGRES_COPY_OUT);
  PQclear(r);
  int rows = 0;
  char* line = nullptr;
  while (PQgetCopyData(c.raw(), &line, 0) > 0) ++rows, PQfreemem(line);
  EXPECT_EQ(rows, 10000);
  while ((r = PQgetResult(c.raw()))) PQclear(r);
  EXPECT_EQ(edge_->report().in_flight, 0);

  // Data the server refuses half way, while the client goes on sending.
  for (const bool extended : {false, true}) {
    r = extended ? PQexecParams(c.raw(), "COPY t FROM STDIN", 0, nullptr, nullptr, nullptr, nullptr, 0)
                 : PQexec(c.raw(), "COPY t FROM STDIN");
    ASSERT_EQ(PQresultStatus(r), PGRES_COPY_IN);
    PQclear(r);
    for (int i = 0; i < 20000; ++i) {
      const std::string bad = "notanumber\t" + std::string(100, 'y') + "\n";
      if (PQputCopyData(c.raw(), bad.data(), static_cast<int>(bad.size())) != 1) break;
    }
    PQputCopyEnd(c.raw(), nullptr);
    r = PQgetResult(c.raw());
    EXPECT_STREQ(PQresultErrorField(r, PG_DIAG_SQLSTATE), "22P02");
    PQclear(r);
    while ((r = PQgetResult(c.raw()))) PQclear(r);
    EXPECT_EQ(c.query("SELECT 7").value, "7");
    EXPECT_EQ(edge_->report().in_flight, 0);
  }
}

TEST_F(PgSession, a_copy_may_take_its_time) {
  Client c(edge_->port());
  for (const bool extended : {false, true}) {
    PGresult* r = extended ? PQexecParams(c.raw(), "COPY t FROM STDIN", 0, nullptr, nullptr, nullptr, nullptr, 0)
                           : PQexec(c.raw(), "COPY t FROM STDIN");
    ASSERT_EQ(PQresultStatus(r), PGRES_COPY_IN);
    PQclear(r);
    server_->exec("SELECT pg_sleep(0.05)");  // longer than a unit may pipeline
    const std::string line = extended ? "1\tx\n" : "2\ty\n";
    ASSERT_EQ(PQputCopyData(c.raw(), line.data(), static_cast<int>(line.size())), 1);
    server_->exec("SELECT pg_sleep(0.05)");
    ASSERT_EQ(PQputCopyEnd(c.raw(), nullptr), 1);
    EXPECT_TRUE(c.take(PQgetResult(c.raw())).ok);
    while ((r = PQgetResult(c.raw()))) PQclear(r);
  }
  EXPECT_EQ(c.query("SELECT count(*) FROM t").value, "2");
}

TEST_F(PgSession, results_and_statements_larger_than_any_buffer) {
  Client c(edge_->port());
  EXPECT_EQ(c.query("SELECT length(repeat('x', 30000000)), repeat('x', 30000000)").value, "30000000");
  const std::string large(3'000'000, 'y');
  EXPECT_EQ(c.extended("SELECT length($1)", {large}).value, "3000000");
  EXPECT_EQ(edge_->unmovable(), 0) << "a large value is no large statement";
  EXPECT_EQ(c.query("SELECT length('" + large + "')").value, "3000000");
  EXPECT_EQ(edge_->why_unmovable(), "statement larger than 1 MiB is not inspected");
  EXPECT_EQ(c.query("SELECT count(*) FROM generate_series(1, 300000)").value, "300000");
}

TEST_F(PgSession, logins_of_every_kind_are_relayed) {
  EXPECT_TRUE(Client(edge_->port(), "user=scram password='pässword, with=commas'").connected());
  EXPECT_TRUE(Client(edge_->port(), "user=md5 password=md5").connected());
  EXPECT_TRUE(Client(edge_->port(), "user=plain password=plain").connected());
  Client wrong(edge_->port(), "user=scram password=wrong");
  EXPECT_FALSE(wrong.connected());
  EXPECT_NE(wrong.why().find("password authentication failed"), std::string::npos) << wrong.why();
  Client nobody(edge_->port(), "user=nobody");
  EXPECT_NE(nobody.why().find("pg_hba.conf rejects"), std::string::npos) << nobody.why();
  Client missing(edge_->port(), "dbname=missing");
  EXPECT_NE(missing.why().find("does not exist"), std::string::npos) << missing.why();
  Client required(edge_->port(), "sslmode=require");
  EXPECT_NE(required.why().find("does not support SSL"), std::string::npos) << required.why();
  Client options(edge_->port(), "options='-c work_mem=3MB' application_name=me");
  EXPECT_EQ(options.query("SHOW work_mem").value, "3MB");
  EXPECT_STREQ(PQparameterStatus(options.raw(), "application_name"), "me");
}

TEST_F(PgSession, a_cancel_reaches_its_statement_and_no_other) {
  Client c(edge_->port()), bystander(edge_->port());
  ASSERT_EQ(PQsendQuery(bystander.raw(), "SELECT pg_sleep(0.5)"), 1);
  ASSERT_EQ(PQsendQuery(c.raw(), "SELECT pg_sleep(60)"), 1);
  ASSERT_TRUE(eventually([&] {
    return server_->exec("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'") == "1";
  }));
  EXPECT_EQ(PQbackendPID(c.raw()),
            std::stoi(server_->exec("SELECT pid FROM pg_stat_activity WHERE query='SELECT pg_sleep(60)'")))
      << "clients compare this id with what the server says of them";
  PGcancel* cancel = PQgetCancel(c.raw());
  char error[256];
  EXPECT_EQ(PQcancel(cancel, error, sizeof error), 1) << error;
  PQfreeCancel(cancel);
  EXPECT_EQ(c.take(PQgetResult(c.raw())).sqlstate, "57014");
  EXPECT_EQ(PQgetResult(c.raw()), nullptr);
  EXPECT_TRUE(bystander.take(PQgetResult(bystander.raw())).ok);
  EXPECT_EQ(c.query("SELECT 1").value, "1");
}

TEST_F(PgSession, notifications_arrive_while_idle) {
  Client c(edge_->port());
  EXPECT_TRUE(c.query("LISTEN news").ok);
  EXPECT_EQ(edge_->unmovable(), 0);
  server_->exec("NOTIFY news, 'hello'");
  ASSERT_TRUE(eventually([&] {
    PQconsumeInput(c.raw());
    PGnotify* n = PQnotifies(c.raw());
    const bool got = n && std::string(n->extra) == "hello";
    PQfreemem(n);
    return got;
  }));
  EXPECT_TRUE(c.query("UNLISTEN *").ok);
  EXPECT_EQ(edge_->unmovable(), 0);
}

TEST_F(PgSession, what_pins_a_session_is_named) {
  Client c(edge_->port());
  const auto pinned_by = [&](const std::string& sql) {
    EXPECT_TRUE(c.query(sql).ok) << sql;
    return edge_->why_unmovable();
  };
  EXPECT_EQ(pinned_by("SET work_mem = '5MB'"), "");
  EXPECT_EQ(pinned_by("CREATE TEMP TABLE x(a int)"), "temporary table");
  EXPECT_EQ(pinned_by("DISCARD TEMP"), "");
  EXPECT_EQ(pinned_by("BEGIN; CREATE TEMP TABLE y(a int) ON COMMIT DROP; COMMIT"), "");
  EXPECT_EQ(pinned_by("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 1; COMMIT"), "cursor WITH HOLD");
  EXPECT_EQ(pinned_by("CLOSE h"), "");
  for (const char* goes_along : {"SELECT pg_advisory_lock(7)", "BEGIN; SELECT pg_advisory_xact_lock(7); COMMIT",
                                 "PREPARE q AS SELECT 1", "LISTEN news", "SET search_path = pg_catalog"})
    EXPECT_EQ(pinned_by(goes_along), "") << goes_along;
  EXPECT_EQ(pinned_by("SELECT set_config('work_mem', '4' || 'MB', false)"), "set_config() that cannot be repeated");
  EXPECT_EQ(pinned_by("DISCARD ALL"), "");
  EXPECT_EQ(pinned_by("DO $$ BEGIN EXECUTE 'LISTEN x'; END $$"), "DO block that may change the session");
  EXPECT_EQ(pinned_by("DISCARD ALL"), "");
  EXPECT_EQ(pinned_by("LOAD 'plpgsql'"), "LOAD");
  EXPECT_EQ(pinned_by("DISCARD ALL"), "");
}

TEST_F(PgSession, a_replication_connection_is_pinned_and_works) {
  PGconn* r =
      PQconnectdb(("host=127.0.0.1 port=" + std::to_string(edge_->port()) + " user=postgres replication=true").c_str());
  ASSERT_EQ(PQstatus(r), CONNECTION_OK) << PQerrorMessage(r);
  EXPECT_EQ(edge_->why_unmovable(), "replication connection");
  PGresult* system = PQexec(r, "IDENTIFY_SYSTEM");
  EXPECT_EQ(PQresultStatus(system), PGRES_TUPLES_OK);
  PQclear(system);
  PQfinish(r);
  EXPECT_TRUE(eventually([&] { return edge_->unmovable() == 0; }));
}

TEST_F(PgSession, an_idle_backend_that_dies_is_replaced_unseen) {
  Client c(edge_->port());
  EXPECT_TRUE(c.query("SET work_mem = '7MB'").ok);
  EXPECT_TRUE(c.query("SET application_name TO 'mine'").ok);
  const auto pid = c.query("SELECT pg_backend_pid()").value;
  terminate(pid);
  const auto again = c.query("SELECT pg_backend_pid()");
  ASSERT_TRUE(again.ok) << again.error;
  EXPECT_NE(again.value, pid);
  EXPECT_EQ(c.query("SHOW work_mem").value, "7MB") << "settings are repeated on the new server session";
  EXPECT_EQ(c.query("SHOW application_name").value, "mine");
}

TEST_F(PgSession, a_pinned_session_hears_the_truth_when_its_backend_dies) {
  Client c(edge_->port());
  EXPECT_TRUE(c.query("CREATE TEMP TABLE mine(x int)").ok);
  const auto pid = c.query("SELECT pg_backend_pid()").value;
  terminate(pid);
  const auto lost = c.query("SELECT 1");
  EXPECT_FALSE(lost.ok);
  EXPECT_NE(c.why().find("administrator command"), std::string::npos) << c.why();
}

TEST_F(PgSession, a_lost_statement_is_never_repeated_and_honestly_reported) {
  // Autocommit: nobody can know.
  {
    Client c(edge_->port());
    const auto pid = c.query("SELECT pg_backend_pid()").value;
    ASSERT_EQ(PQsendQuery(c.raw(), "INSERT INTO t SELECT 1, pg_sleep(60)::text"), 1);
    ASSERT_TRUE(eventually([&] {
      return server_->exec("SELECT state FROM pg_stat_activity WHERE pid = " + pid) == "active" &&
             server_->exec("SELECT query FROM pg_stat_activity WHERE pid = " + pid).find("60") != std::string::npos;
    }));
    ::kill(std::stoi(pid), SIGKILL);  // the postmaster restarts everything, as after a crash
    const auto lost = c.take(PQgetResult(c.raw()));
    EXPECT_EQ(lost.sqlstate, "08007") << lost.error;
  }
  ASSERT_TRUE(eventually([&] { return PQping(server_->conninfo().c_str()) == PQPING_OK; }));
  // Inside a transaction, COMMIT not asked for: it is gone for sure.
  {
    Client c(edge_->port());
    ASSERT_TRUE(c.query("BEGIN").ok);
    const auto pid = c.query("SELECT pg_backend_pid()").value;
    ASSERT_EQ(PQsendQuery(c.raw(), "INSERT INTO t SELECT 2, pg_sleep(60)::text"), 1);
    ASSERT_TRUE(eventually([&] {
      return server_->exec("SELECT query FROM pg_stat_activity WHERE pid = " + pid).find("60") != std::string::npos;
    }));
    ::kill(std::stoi(pid), SIGKILL);
    EXPECT_EQ(c.take(PQgetResult(c.raw())).sqlstate, "08006");
  }
  ASSERT_TRUE(eventually([&] { return PQping(server_->conninfo().c_str()) == PQPING_OK; }));
  EXPECT_EQ(server_->exec("SELECT count(*) FROM t"), "0");
  EXPECT_GE(edge_->report().segments.at(1).current.errors, 2U);
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgSession, a_client_that_vanishes_leaves_nothing) {
  {
    Client c(edge_->port());
    EXPECT_TRUE(c.query("BEGIN; INSERT INTO t VALUES (1)").ok);
    shutdown(PQsocket(c.raw()), SHUT_RDWR);
  }
  EXPECT_TRUE(eventually([&] { return edge_->report().sessions == 0 && edge_->report().in_flight == 0; }));
  EXPECT_EQ(server_->exec("SELECT count(*) FROM t"), "0");
  // A statement under way is finished, as the server would, and stays in flight until it is.
  Client c(edge_->port());
  ASSERT_EQ(PQsendQuery(c.raw(), "INSERT INTO t SELECT 5 FROM pg_sleep(0.3)"), 1);
  // In flight begins before the server has it: a client that vanishes in between has asked for nothing.
  ASSERT_TRUE(eventually([&] {
    return server_->exec(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO t SELECT 5%' AND state = "
               "'active'") == "1";
  }));
  EXPECT_EQ(edge_->report().in_flight, 1);
  shutdown(PQsocket(c.raw()), SHUT_RDWR);
  ASSERT_TRUE(eventually([&] { return edge_->report().in_flight == 0; }));
  EXPECT_EQ(server_->exec("SELECT count(*) FROM t"), "1");
}

}  // namespace
}  // namespace foreshadow
