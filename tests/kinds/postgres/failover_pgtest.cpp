// A primary that died unforeseen, on real servers and through a real agent: an asynchronous standby that had fallen
// behind loses nothing while the old disk can be read, and where it cannot, nobody is promoted.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>

#include "kinds/postgres/assess.hpp"
#include "kinds/postgres/pair.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/wal_end.hpp"
#include "support/eventually.hpp"

namespace foreshadow::testing {
namespace {

using namespace std::chrono_literals;
using kinds::postgres::kAnyLoss;
using kinds::postgres::processes_of;

#define ASSERT_OK(result) ASSERT_TRUE((result).has_value()) << (result).error().what
#define EXPECT_CODE(result, expected)                                \
  do {                                                               \
    const auto& asked_ = (result);                                   \
    ASSERT_FALSE(asked_.has_value());                                \
    EXPECT_EQ(asked_.error().code, expected) << asked_.error().what; \
  } while (false)

// Small segments, so that a little work fills several; none is recycled.
PgOptions small_segments() {
  return {.settings = {{"wal_keep_size", "256MB"}, {"autovacuum", "off"}}, .arguments = {"--wal-segsize=1"}};
}

// The standby hears nothing more, and nobody has noticed.
void stop_sending(const Pair& pair) {
  const auto sender =
      std::stoi(sql(pair.primary, "SELECT pid FROM pg_stat_replication WHERE application_name = 'shop-b'"));
  ASSERT_EQ(::kill(sender, SIGSTOP), 0);
}

std::string lsn_of(const Instance& instance, const char* function) {
  return sql(instance, fmt::format("SELECT {}()", function));
}

// The primary has acknowledged a row that its standby lacks, and is killed.
void lag_and_die(Pair& pair) {
  sql(pair.primary, "CREATE TABLE t (v text)");
  ASSERT_TRUE(
      eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == "1"; }));
  stop_sending(pair);
  sql(pair.primary, "INSERT INTO t VALUES ('acknowledged')");
  pair.cluster.kill();
}

// The segment of the dead primary that holds this place.
std::string segment_of(const Pair& pair, const std::string& lsn, std::uint64_t segment_bytes, int further = 0) {
  const auto at = kinds::postgres::parse_lsn(lsn)->value;
  return pair.primary.data_dir + "/pg_wal/" +
         kinds::postgres::segment_name({1, segment_bytes}, at / segment_bytes + static_cast<std::uint64_t>(further));
}

void overwrite(const std::string& path, std::uint64_t at, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0) << path;
  EXPECT_EQ(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at)), static_cast<ssize_t>(bytes.size()));
  ::close(fd);
}

TEST(PgFailover, KilledUnderLoadWithAStandbyThatLagsItLosesNothing) {
  Pair pair;
  pair.make_shadow();
  Ledger ledger(pair.primary, 4);
  ASSERT_TRUE(eventually([&] { return ledger.count() > 200; }));
  stop_sending(pair);
  const auto behind = ledger.count();
  ASSERT_TRUE(eventually([&] { return ledger.count() > behind + 200; }));
  // A session that waits on the standby, as gateways keep them.
  const std::unique_ptr<PGconn, decltype(&PQfinish)> warm(
      PQconnectdb(fmt::format("host={} port={} user=postgres dbname=postgres", pair.shadow.endpoint.host,
                              pair.shadow.endpoint.port)
                      .c_str()),
      &PQfinish);
  ASSERT_EQ(PQstatus(warm.get()), CONNECTION_OK);

  const auto died = std::chrono::steady_clock::now();
  pair.cluster.kill();
  ledger.hold();
  const auto promoter = pair.promoter();
  const auto fenced = promoter->fence(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(fenced);
  const auto assessed = promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {});
  ASSERT_OK(assessed);
  EXPECT_EQ(assessed->facts.at("lost_bytes"), "0");
  EXPECT_EQ(assessed->facts.at("lost_commits"), "0");
  EXPECT_GE(std::stol(assessed->facts.at("rescued_commits")), 200);
  EXPECT_GT(std::stol(assessed->facts.at("xmax")), 200);
  const auto promoted = promoter->promote(pair.who(1), pair.shadow, {});
  ASSERT_OK(promoted);
  const auto before = ledger.count();
  ledger.release(pair.shadow);
  ASSERT_TRUE(eventually([&] { return ledger.count() > before; }));
  const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - died);
  ASSERT_TRUE(eventually([&] { return ledger.count() > before + 100; }));

  const std::unique_ptr<PGresult, decltype(&PQclear)> answer(
      PQexec(warm.get(), "INSERT INTO ledger VALUES (-1, 'by a session from before')"), &PQclear);
  EXPECT_EQ(PQresultStatus(answer.get()), PGRES_COMMAND_OK) << PQerrorMessage(warm.get());

  ledger.stop();
  const auto acknowledged = ledger.acknowledged();
  const auto present = ledger_of(pair.shadow);
  EXPECT_TRUE(std::includes(present.begin(), present.end(), acknowledged.begin(), acknowledged.end()))
      << acknowledged.size() << " acknowledged, " << present.size() << " present";
  const auto rejoined = promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(rejoined);
  EXPECT_NE(rejoined->find("no rewind"), std::string::npos) << *rejoined;
  std::printf("  %s\n  %s\n  %s\n  %s\n  killed to first answer without the grace: %lld ms\n", fenced->c_str(),
              assessed->text.c_str(), promoted->c_str(), rejoined->c_str(), static_cast<long long>(took.count()));
}

TEST(PgFailover, OneThatWasStoppedInMidWorkIsSeenFencedAndLosesNothing) {
  Pair pair;
  pair.make_shadow();
  Ledger ledger(pair.primary, 4);
  ASSERT_TRUE(eventually([&] { return ledger.count() > 200; }));
  const auto promoter = pair.promoter();
  EXPECT_TRUE(promoter->writable(pair.primary, {}).value_or(false));
  for (int round = 0; round < 2; ++round) {
    const auto members = processes_of(pair.primary.data_dir);
    for (const auto pid : *members) ::kill(pid, SIGSTOP);
  }
  EXPECT_CODE(promoter->writable(pair.primary, {}), Code::timeout);
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  EXPECT_TRUE(processes_of(pair.primary.data_dir)->empty());
  ASSERT_OK(promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {}));
  ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
  ledger.hold();
  ledger.release(pair.shadow);
  const auto before = ledger.count();
  ASSERT_TRUE(eventually([&] { return ledger.count() > before + 50; }));
  ledger.stop();
  const auto acknowledged = ledger.acknowledged();
  const auto present = ledger_of(pair.shadow);
  EXPECT_TRUE(std::includes(present.begin(), present.end(), acknowledged.begin(), acknowledged.end()));
}

// What the agent says of one that cannot be written to: only silence is death.
TEST(PgFailover, OnlyWhoDoesNotAnswerIsDead) {
  Pair pair(
      {.settings = {{"max_connections", "8"}, {"superuser_reserved_connections", "0"}, {"max_wal_senders", "4"}}});
  const auto promoter = pair.promoter();
  std::vector<std::unique_ptr<PGconn, decltype(&PQfinish)>> clients;
  const auto conninfo = fmt::format("host={} port={} user=postgres dbname=postgres", pair.primary.endpoint.host,
                                    pair.primary.endpoint.port);
  ASSERT_TRUE(eventually([&] {
    clients.emplace_back(PQconnectdb(conninfo.c_str()), &PQfinish);
    return PQstatus(clients.back().get()) != CONNECTION_OK;
  }));
  const auto full = promoter->writable(pair.primary, {});
  ASSERT_OK(full);
  EXPECT_FALSE(*full) << "it has no connection to spare, and its clients work";
  clients.clear();
  ASSERT_TRUE(eventually([&] { return promoter->writable(pair.primary, {}).value_or(false); }));
  pair.cluster.kill();
  EXPECT_CODE(promoter->writable(pair.primary, {}), Code::unreachable);
  pair.agent->kill();
  EXPECT_CODE(promoter->writable(pair.primary, {}), Code::io);
}

TEST(PgFailover, ManySegmentsBehindItIsBroughtOverAndReplayed) {
  Pair pair(small_segments());
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (g int, v text)");
  ASSERT_TRUE(
      eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == "1"; }));
  stop_sending(pair);
  for (int i = 0; i < 8; ++i)
    sql(pair.primary, "INSERT INTO t SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 2000) g");
  pair.cluster.kill();
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  const auto assessed = promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {});
  ASSERT_OK(assessed);
  EXPECT_EQ(assessed->facts.at("rescued_commits"), "8") << assessed->text;
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "16000");
  const auto again = promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {});
  ASSERT_OK(again);
  EXPECT_EQ(again->facts.at("rescued_commits"), "0") << again->text;
  ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "16000");
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, kAnyLoss, {}), Code::conflict);
}

TEST(PgFailover, AStandbyThatHasEverythingIsLeftAsItIs) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')");
  ASSERT_TRUE(eventually([&] {
    return lsn_of(pair.shadow, "pg_last_wal_replay_lsn") == lsn_of(pair.primary, "pg_current_wal_insert_lsn");
  }));
  pair.cluster.kill();
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  const auto assessed = promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {});
  ASSERT_OK(assessed);
  EXPECT_EQ(assessed->facts.at("rescued_commits"), "0") << assessed->text;
}

TEST(PgFailover, NothingIsAssessedWithoutAFenceAndNobodyPromotedAfterARevival) {
  Pair pair;
  pair.make_shadow();
  const auto promoter = pair.promoter();
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, kAnyLoss, {}), Code::refused);
  lag_and_die(pair);
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  ASSERT_OK(promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {}));
  ASSERT_OK(promoter->revive(pair.who(1), pair.primary, {}));
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, kAnyLoss, {}), Code::refused);
  EXPECT_CODE(promoter->promote(pair.who(1), pair.shadow, {}), Code::refused);
  EXPECT_EQ(sql(pair.primary, "SELECT v FROM t"), "acknowledged");
  // The standby that was given the log goes on with it.
  pair.make_shadow();
  sql(pair.primary, "INSERT INTO t VALUES ('later')");
  EXPECT_TRUE(eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM t") == "2"; }));
}

TEST(PgFailover, AnUnreadableDiskIsTouchedByNobodyAndTheCommandIsTold) {
  Pair pair;
  pair.make_shadow();
  lag_and_die(pair);
  // Gone rather than closed: an agent of root's reads what is closed.
  const auto log = pair.primary.data_dir + "/pg_wal", away = pair.primary.data_dir + "/away";
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  ASSERT_EQ(::rename(log.c_str(), away.c_str()), 0);
  const auto refused = promoter->assess(pair.who(1), pair.primary, pair.shadow, 1 << 30, {});
  EXPECT_CODE(refused, Code::refused);
  EXPECT_NE(refused.error().what.find("foreshadow failover shop --accept-data-loss any"), std::string::npos)
      << refused.error().what;
  EXPECT_EQ(sql(pair.shadow, "SELECT pg_is_in_recovery()"), "t");
  // It cannot start either, and says so; a person mends the disk, and nothing was lost.
  EXPECT_FALSE(promoter->revive(pair.who(1), pair.primary, {}).has_value());
  ASSERT_EQ(::rename(away.c_str(), log.c_str()), 0);
  ASSERT_OK(promoter->revive(pair.who(1), pair.primary, {}));
  EXPECT_EQ(sql(pair.primary, "SELECT v FROM t"), "acknowledged");
}

TEST(PgFailover, WhatIsLostIsSaidAndTheOldDiskKeepsIt) {
  Pair pair;
  pair.make_shadow();
  lag_and_die(pair);
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  PgCluster::run({"/bin/sh", "-c", "for f in " + pair.primary.data_dir + "/pg_wal/0*; do : > $f; done"});
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, kAnyLoss - 1, {}), Code::refused);
  const auto accepted = promoter->assess(pair.who(1), pair.primary, pair.shadow, kAnyLoss, {});
  ASSERT_OK(accepted);
  EXPECT_EQ(accepted->facts.at("lost_bytes"), "unknown") << accepted->text;
  ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "0");
}

// Readers stop at a record that does not hold, as if it were the end; behind it stands what clients were told is safe.
TEST(PgFailover, ALogThatIsDamagedInItsMiddleIsNotTakenForOneThatEndsThere) {
  Pair pair(small_segments());
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (g int, v text)");
  ASSERT_TRUE(
      eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == "1"; }));
  stop_sending(pair);
  sql(pair.primary, "INSERT INTO t VALUES (1, 'before')");
  const auto at = lsn_of(pair.primary, "pg_current_wal_insert_lsn");
  sql(pair.primary, "INSERT INTO t SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 9000) g");
  pair.cluster.kill();
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  const auto place = kinds::postgres::parse_lsn(at)->value % (1 << 20);
  overwrite(segment_of(pair, at, 1 << 20), place + 20, "damage");
  const auto damaged = promoter->assess(pair.who(1), pair.primary, pair.shadow, 1 << 30, {});
  EXPECT_CODE(damaged, Code::refused);
  EXPECT_NE(damaged.error().what.find("goes on behind"), std::string::npos) << damaged.error().what;
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "0");
}

// The same in the last page, where nothing shows it but that the standby has more than could be read.
TEST(PgFailover, ALogThatIsDamagedBeforeWhatTheStandbyHasIsNotBelieved) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (v text); CHECKPOINT");
  sql(pair.primary, "SELECT pg_switch_wal()");
  const auto at = lsn_of(pair.primary, "pg_current_wal_insert_lsn");
  sql(pair.primary, "SELECT pg_logical_emit_message(true, 'a', 'b')");
  const auto seen = lsn_of(pair.primary, "pg_current_wal_insert_lsn");
  ASSERT_TRUE(eventually([&] { return sql(pair.shadow, "SELECT pg_last_wal_replay_lsn() >= '" + seen + "'") == "t"; }));
  stop_sending(pair);
  sql(pair.primary, "SELECT pg_logical_emit_message(true, 'acknowledged', 'c')");
  pair.cluster.kill();
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  const auto place = kinds::postgres::parse_lsn(at)->value % (16 << 20);
  overwrite(segment_of(pair, at, 16 << 20), std::max<std::uint64_t>(place, 40) + 20, "damage");
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, 1 << 30, {}), Code::refused);
}

TEST(PgFailover, ALogWithAHoleIsNotTakenForOneThatEndsThere) {
  Pair pair(small_segments());
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (g int, v text)");
  ASSERT_TRUE(
      eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == "1"; }));
  stop_sending(pair);
  const auto at = lsn_of(pair.primary, "pg_current_wal_insert_lsn");
  sql(pair.primary, "INSERT INTO t SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 9000) g");
  pair.cluster.kill();
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  ASSERT_EQ(::unlink(segment_of(pair, at, 1 << 20, 1).c_str()), 0);
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, 1 << 30, {}), Code::refused);
}

TEST(PgFailover, LogsThatDifferAreNotJoined) {
  Pair pair;
  pair.make_shadow();
  lag_and_die(pair);
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  // One byte of what both have, in a page that the standby has replayed long ago.
  const auto have = lsn_of(pair.shadow, "pg_last_wal_replay_lsn");
  auto segment = segment_of(pair, have, 16 << 20);
  segment.replace(0, pair.primary.data_dir.size(), pair.shadow.data_dir);
  overwrite(segment, 4000, "x");
  const auto refused = promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {});
  EXPECT_CODE(refused, Code::refused);
  EXPECT_NE(refused.error().what.find("differ"), std::string::npos) << refused.error().what;
  EXPECT_NE(refused.error().what.find("1 commits"), std::string::npos) << refused.error().what;
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "0");
  EXPECT_EQ(lsn_of(pair.shadow, "pg_last_wal_replay_lsn"), have);
  // The number it says is the number that it takes.
  const auto words = refused.error().what;
  const auto bytes = std::stoull(words.substr(words.rfind(' ') + 1));
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, bytes - 1, {}), Code::refused);
  const auto accepted = promoter->assess(pair.who(1), pair.primary, pair.shadow, bytes, {});
  ASSERT_OK(accepted);
  EXPECT_EQ(accepted->facts.at("lost_bytes"), std::to_string(bytes));
  EXPECT_EQ(accepted->facts.at("lost_commits"), "1");
}

TEST(PgFailover, WithoutAStandbyThatRunsNobodyIsPromoted) {
  Pair pair;
  pair.make_shadow();
  lag_and_die(pair);
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  static_cast<void>(kinds::postgres::kill_processes(pair.shadow.data_dir, Millis{0}, 10s));
  EXPECT_CODE(promoter->assess(pair.who(1), pair.primary, pair.shadow, kAnyLoss, {}), Code::unreachable);
  ASSERT_OK(promoter->revive(pair.who(1), pair.primary, {}));
  EXPECT_EQ(sql(pair.primary, "SELECT v FROM t"), "acknowledged");
}

// The agent dies at some moment inside the rescue; whoever asks again gets to the same end.
TEST(PgFailover, AgentKilledInTheRescueIsMendedByRepeatingIt) {
  for (const int delay_ms : {0, 5, 15, 30, 60, 120}) {
    SCOPED_TRACE(delay_ms);
    Pair pair(small_segments());
    pair.make_shadow();
    sql(pair.primary, "CREATE TABLE t (g int, v text)");
    ASSERT_TRUE(
        eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM pg_tables WHERE tablename = 't'") == "1"; }));
    stop_sending(pair);
    for (int i = 0; i < 4; ++i)
      sql(pair.primary, "INSERT INTO t SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 2000) g");
    pair.cluster.kill();
    const auto promoter = pair.promoter();
    ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
    {
      std::jthread asking([&] { static_cast<void>(promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {})); });
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms);
      eventually([&] { return std::chrono::steady_clock::now() >= until; }, 5s);
      pair.agent->kill();
    }
    pair.agent->start();
    const auto assessed = promoter->assess(pair.who(1), pair.primary, pair.shadow, 0, {});
    ASSERT_OK(assessed);
    EXPECT_EQ(assessed->facts.at("lost_bytes"), "0") << assessed->text;
    ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
    EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "8000");
  }
}

}  // namespace
}  // namespace foreshadow::testing
