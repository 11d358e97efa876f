// The whole of a handover on real servers, through a real agent: what clients were told is safe stays safe, and nobody
// ever writes in two places.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "io/files.hpp"
#include "io/rpc.hpp"
#include "kinds/postgres/host_promoter.hpp"
#include "kinds/postgres/pair.hpp"
#include "kinds/postgres/processes.hpp"
#include "kinds/postgres/proof.hpp"
#include "support/eventually.hpp"

#include <libpq-fe.h>
#include <nlohmann/json.hpp>

namespace foreshadow::testing {
namespace {

using namespace std::chrono_literals;
using kinds::postgres::processes_of;

#define ASSERT_OK(result) ASSERT_TRUE((result).has_value()) << (result).error().what
#define EXPECT_CODE(result, expected)                                \
  do {                                                               \
    const auto& asked_ = (result);                                   \
    ASSERT_FALSE(asked_.has_value());                                \
    EXPECT_EQ(asked_.error().code, expected) << asked_.error().what; \
  } while (false)

TEST(PgHandover, ShadowFollowsHoldsNothingAndIsMadeOnce) {
  Pair pair;
  sql(pair.primary, "CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g");
  std::vector<std::string> told;
  const auto first = pair.replicator()->follow(pair.primary, pair.shadow, 2min,
                                               [&](double, const std::string& text) { told.push_back(text); }, {});
  ASSERT_OK(first);
  EXPECT_NE(first->find("copied"), std::string::npos) << *first;
  EXPECT_FALSE(told.empty());
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM t"), "1000");
  EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM pg_replication_slots"), "0");
  EXPECT_EQ(sql(pair.primary, "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'shop-b'"), "async");

  sql(pair.primary, "INSERT INTO t SELECT 1");
  ASSERT_TRUE(eventually([&] {
    const auto state = pair.replicator()->state(pair.primary, pair.shadow, {});
    return state && state->following && state->lag_bytes == 0 && state->lag == Millis{0};
  }));
  const auto again = pair.replicator()->follow(pair.primary, pair.shadow, 2min, {}, {});
  ASSERT_OK(again);
  EXPECT_NE(again->find("already"), std::string::npos) << *again;

  ASSERT_OK(pair.replicator()->forget(pair.primary, pair.shadow, {}));
  EXPECT_TRUE(processes_of(pair.shadow.data_dir)->empty());
  ASSERT_OK(pair.replicator()->forget(pair.primary, pair.shadow, {}));
  const auto state = pair.replicator()->state(pair.primary, pair.shadow, {});
  ASSERT_OK(state);
  EXPECT_FALSE(state->following);
  EXPECT_FALSE(state->lag.has_value());

  const auto restarted = pair.replicator()->follow(pair.primary, pair.shadow, 2min, {}, {});
  ASSERT_OK(restarted);
  EXPECT_NE(restarted->find("restarted"), std::string::npos) << *restarted;
}

TEST(PgHandover, ForeignDirectoryIsNotTouched) {
  Pair pair;
  PgCluster::run({"/bin/mkdir", pair.shadow.data_dir});
  PgCluster::run({"/bin/touch", pair.shadow.data_dir + "/precious"});
  EXPECT_CODE(pair.replicator()->follow(pair.primary, pair.shadow, 1min, {}, {}), Code::refused);
  EXPECT_EQ(access((pair.shadow.data_dir + "/precious").c_str(), F_OK), 0);
}

TEST(PgHandover, ProofWaitsForReplayAndRefusesAStuckShadow) {
  Pair pair;
  pair.make_shadow();
  const auto proof = pair.promoter()->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(proof);
  const auto parsed = kinds::postgres::parse_proof(*proof);
  ASSERT_OK(parsed);
  EXPECT_EQ(sql(pair.shadow, "SELECT pg_last_wal_replay_lsn() >= '" + parsed->lsn.text() + "'"), "t");
  sql(pair.shadow, "SELECT pg_wal_replay_pause()");
  EXPECT_CODE(pair.promoter()->prove_equal(pair.who(1), pair.primary, pair.shadow, {}), Code::timeout);
  sql(pair.shadow, "SELECT pg_wal_replay_resume()");
  ASSERT_OK(pair.promoter()->prove_equal(pair.who(1), pair.primary, pair.shadow, {}));
}

TEST(PgHandover, ARoleThatMayNotPromoteIsRefusedBeforeAnythingIsFenced) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE ROLE watcher LOGIN IN ROLE pg_monitor");
  auto settings = kinds::postgres::pg_settings({{"user", "watcher"}});
  ASSERT_OK(settings);
  const auto promoter = kinds::postgres::host_promoter(std::move(*settings));
  const auto prove = [&] { return promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}); };
  ASSERT_TRUE(
      eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM pg_roles WHERE rolname = 'watcher'") == "1"; }));
  const auto refused = prove();
  EXPECT_CODE(refused, Code::refused);
  EXPECT_NE(refused.error().what.find("GRANT EXECUTE ON FUNCTION pg_promote TO watcher"), std::string::npos)
      << refused.error().what;
  sql(pair.primary, "GRANT EXECUTE ON FUNCTION pg_promote TO watcher");
  EXPECT_TRUE(eventually([&] { return prove().has_value(); })) << prove().error().what;
}

TEST(PgHandover, NoAcknowledgedWriteIsLostAndTheOldPrimaryFollowsWithoutRewind) {
  Pair pair;
  pair.make_shadow();
  Ledger ledger(pair.primary, 4);
  ASSERT_TRUE(eventually([&] { return ledger.count() > 200; }));
  const auto promoter = pair.promoter();

  ledger.hold();
  const auto proof = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(proof);
  const auto fenced = promoter->fence(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(fenced);
  EXPECT_TRUE(processes_of(pair.primary.data_dir)->empty());
  EXPECT_EQ(access((pair.primary.data_dir + "/standby.signal").c_str(), F_OK), 0);
  const auto checked = promoter->check_fenced(pair.who(1), pair.primary, pair.shadow, *proof, {});
  ASSERT_OK(checked);
  const auto promoted = promoter->promote(pair.who(1), pair.shadow, {});
  ASSERT_OK(promoted);
  const auto writable = promoter->writable(pair.shadow, {});
  ASSERT_OK(writable);
  EXPECT_TRUE(*writable);
  const auto before = ledger.count();
  ledger.release(pair.shadow);
  ASSERT_TRUE(eventually([&] { return ledger.count() > before + 100; }));

  const auto rejoined = promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(rejoined);
  EXPECT_NE(rejoined->find("no rewind"), std::string::npos) << *rejoined;
  EXPECT_EQ(sql(pair.primary, "SELECT pg_is_in_recovery()"), "t");
  const auto old_writable = promoter->writable(pair.primary, {});
  ASSERT_OK(old_writable);
  EXPECT_FALSE(*old_writable);
  EXPECT_EQ(sql(pair.shadow, "SELECT count(*) FROM pg_replication_slots"), "0");
  EXPECT_EQ(sql(pair.shadow, "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'shop-a'"), "async");
  const auto again = promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(again);
  EXPECT_NE(again->find("already"), std::string::npos) << *again;

  // And back again, the other way round.
  ledger.hold();
  const auto back = promoter->prove_equal(pair.who(2), pair.shadow, pair.primary, {});
  ASSERT_OK(back);
  ASSERT_OK(promoter->fence(pair.who(2), pair.shadow, pair.primary, {}));
  ASSERT_OK(promoter->check_fenced(pair.who(2), pair.shadow, pair.primary, *back, {}));
  ASSERT_OK(promoter->promote(pair.who(2), pair.primary, {}));
  ledger.release(pair.primary);
  const auto middle = ledger.count();
  ASSERT_TRUE(eventually([&] { return ledger.count() > middle + 100; }));
  const auto home = promoter->rejoin(pair.who(2), pair.shadow, pair.primary, {});
  ASSERT_OK(home);
  EXPECT_NE(home->find("no rewind"), std::string::npos) << *home;

  ledger.stop();
  EXPECT_EQ(ledger.failed(), 0);
  const auto acknowledged = ledger.acknowledged();
  const auto present = ledger_of(pair.primary);
  EXPECT_TRUE(std::includes(present.begin(), present.end(), acknowledged.begin(), acknowledged.end()));
  EXPECT_EQ(present.size(), acknowledged.size());
  std::printf("  %s\n  %s\n  %s\n  %s\n  %s\n", proof->c_str(), fenced->c_str(), checked->text.c_str(),
              promoted->c_str(), rejoined->c_str());
}

// What is prepared does nothing: a primary that crashes and starts again is the primary, and a second shadow finds
// nothing of the first.
TEST(PgHandover, APreparationHasToBeUndoneByNobody) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "ALTER SYSTEM SET work_mem = '5MB'");
  const auto promoter = pair.promoter();
  const auto conf = [&] { return *io::read_file(pair.primary.data_dir + "/postgresql.auto.conf"); };
  const auto before = conf();
  for (int i = 0; i < 2; ++i) {
    const auto prepared = promoter->prepare(pair.who(1), pair.primary, pair.shadow, {});
    ASSERT_OK(prepared);
    EXPECT_NE(prepared->find("checkpoint on shop-a in"), std::string::npos) << *prepared;
    EXPECT_NE(prepared->find("checkpoint on shop-b in"), std::string::npos) << *prepared;
    pair.agent->kill();  // and what it kept warm with it
    pair.agent->start();
  }
  EXPECT_EQ(conf(), before);
  EXPECT_NE(access((pair.primary.data_dir + "/standby.signal").c_str(), F_OK), 0);
  pair.cluster.kill();
  pair.cluster.start();
  EXPECT_EQ(sql(pair.primary, "SELECT pg_is_in_recovery()"), "f");
  ASSERT_OK(promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}));
}

TEST(PgHandover, APreparedFenceOnlyRenamesAndARevivedPrimaryHasItsSettingsBack) {
  for (const char* changed : {"", "ALTER SYSTEM SET work_mem = '6MB'"}) {
    SCOPED_TRACE(changed);
    Pair pair;
    pair.make_shadow();
    sql(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = 'somebody'");
    const auto before = *io::read_file(pair.primary.data_dir + "/postgresql.auto.conf");
    const auto promoter = pair.promoter();
    ASSERT_OK(promoter->prepare(pair.who(1), pair.primary, pair.shadow, {}));
    // A configuration that was changed meanwhile is not overwritten by what was prepared before.
    if (*changed != '\0') sql(pair.primary, changed);
    ASSERT_OK(promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}));
    for (int i = 0; i < 2; ++i) ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
    EXPECT_TRUE(processes_of(pair.primary.data_dir)->empty());
    EXPECT_EQ(access((pair.primary.data_dir + "/standby.signal").c_str(), F_OK), 0);
    const auto fenced = *io::read_file(pair.primary.data_dir + "/postgresql.auto.conf");
    EXPECT_NE(fenced.find("primary_conninfo"), std::string::npos) << fenced;
    EXPECT_EQ(fenced.find("6MB") != std::string::npos, *changed != '\0') << fenced;
    ASSERT_OK(promoter->revive(pair.who(1), pair.primary, {}));
    EXPECT_EQ(sql(pair.primary, "SELECT pg_is_in_recovery()"), "f");
    EXPECT_EQ(sql(pair.primary, "SHOW synchronous_standby_names"), "somebody");
    const auto after = *io::read_file(pair.primary.data_dir + "/postgresql.auto.conf");
    if (*changed == '\0')
      EXPECT_EQ(after, before);
    else
      EXPECT_EQ(sql(pair.primary, "SHOW work_mem"), "6MB");
  }
}

TEST(PgHandover, WhatSpeaksAgainstItIsRefusedBeforeAnybodyWaits) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE UNLOGGED TABLE carts AS SELECT 1");
  const auto promoter = pair.promoter();
  const auto refused = promoter->prepare(pair.who(1), pair.primary, pair.shadow, {});
  EXPECT_CODE(refused, Code::refused);
  EXPECT_NE(refused.error().what.find("carts"), std::string::npos) << refused.error().what;
  pair.options["unlogged"] = "empty";
  const auto minded = pair.promoter()->prepare(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(minded);
  EXPECT_NE(minded->find("mind: "), std::string::npos) << *minded;
}

// The connections of the preparation serve the proof; one that died with its server is made anew, and then both servers
// are looked at again.
TEST(PgHandover, KeptConnectionsAreUsedAndNotTrusted) {
  Pair pair;
  pair.make_shadow();
  const auto settings = *kinds::postgres::pg_settings({});
  const auto promoter = kinds::postgres::host_promoter(settings);
  const auto ours = [&] {
    return sql(pair.primary,
               "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity "
               "WHERE application_name = 'foreshadow' AND backend_type = 'client backend'");
  };
  ASSERT_OK(promoter->prepare(pair.who(1), pair.primary, pair.shadow, {}));
  EXPECT_TRUE(eventually([&] { return !ours().empty() && ours().find(' ') == std::string::npos; })) << ours();
  // It must not let a rival in by being kept.
  pair.cluster.kill();
  pair.cluster.start();
  sql(pair.primary, "CREATE SCHEMA repmgr");
  EXPECT_CODE(promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}), Code::refused);
  sql(pair.primary, "DROP SCHEMA repmgr");
  ASSERT_TRUE(eventually([&] { return promoter->prepare(pair.who(1), pair.primary, pair.shadow, {}).has_value(); }));
  // Nor a shadow that somebody else promoted.
  sql(pair.shadow, "SELECT pg_promote(true)");
  EXPECT_CODE(promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}), Code::conflict);
}

TEST(PgHandover, FenceKillsABackendThatOutlivesItsPostmaster) {
  Pair pair;
  pair.make_shadow();
  // Busy without ever looking at a latch: it does not notice that its postmaster is gone.
  std::jthread client([&] {
    try {
      sql(pair.primary, "SELECT count(*) FROM generate_series(1, 200000000) g WHERE md5(g::text) = 'x'");
    } catch (const std::exception&) {
      // It is killed under us; that is the test.
    }
  });
  ASSERT_TRUE(eventually([&] {
    return sql(pair.primary,
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%200000000%' AND pid <> "
               "pg_backend_pid() AND state = 'active'") == "1";
  }));
  ::kill(pair.cluster.pid(), SIGKILL);
  ASSERT_TRUE(eventually([&] { return !answers(pair.primary); }));
  ASSERT_TRUE(eventually([&] { return processes_of(pair.primary.data_dir)->size() == 1; }))
      << "a backend should survive";
  const auto fenced = pair.promoter()->fence(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(fenced);
  EXPECT_TRUE(processes_of(pair.primary.data_dir)->empty());
  EXPECT_NE(fenced->find("1 processes gone"), std::string::npos) << *fenced;
}

TEST(PgHandover, CommitPastTheProofThatTheShadowLacksAbortsAndRevives) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (v text)");
  const auto promoter = pair.promoter();
  const auto proof = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(proof);
  // Cron commits while the shadow hears nothing.
  const auto sender =
      std::stoi(sql(pair.primary, "SELECT pid FROM pg_stat_replication WHERE application_name = 'shop-b'"));
  ASSERT_EQ(::kill(sender, SIGSTOP), 0);
  sql(pair.primary, "INSERT INTO t VALUES ('sneaked in')");
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  const auto checked = promoter->check_fenced(pair.who(1), pair.primary, pair.shadow, *proof, {});
  EXPECT_CODE(checked, Code::conflict);
  const auto revived = promoter->revive(pair.who(1), pair.primary, {});
  ASSERT_OK(revived);
  EXPECT_EQ(sql(pair.primary, "SELECT v FROM t"), "sneaked in");
  EXPECT_EQ(sql(pair.primary, "SELECT pg_is_in_recovery()"), "f");
  // What was given up stays given up: no promotion without a new fence.
  EXPECT_CODE(promoter->promote(pair.who(1), pair.shadow, {}), Code::refused);
  EXPECT_EQ(sql(pair.shadow, "SELECT pg_is_in_recovery()"), "t");
  // The shadow finds its primary again, and the next attempt succeeds.
  pair.make_shadow();
  const auto second = promoter->prove_equal(pair.who(2), pair.primary, pair.shadow, {});
  ASSERT_OK(second);
  ASSERT_OK(promoter->fence(pair.who(2), pair.primary, pair.shadow, {}));
  ASSERT_OK(promoter->check_fenced(pair.who(2), pair.primary, pair.shadow, *second, {}));
  ASSERT_OK(promoter->promote(pair.who(2), pair.shadow, {}));
  EXPECT_EQ(sql(pair.shadow, "SELECT v FROM t"), "sneaked in");
}

TEST(PgHandover, CommitPastTheProofThatTheShadowHasIsToldButNotLost) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (v text)");
  const auto promoter = pair.promoter();
  const auto proof = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(proof);
  sql(pair.primary, "INSERT INTO t VALUES ('in time')");
  ASSERT_TRUE(eventually([&] { return sql(pair.shadow, "SELECT count(*) FROM t") == "1"; }));
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  const auto checked = promoter->check_fenced(pair.who(1), pair.primary, pair.shadow, *proof, {});
  ASSERT_OK(checked);
  EXPECT_NE(checked->text.find("beside the gateways"), std::string::npos) << checked->text;
  ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
  EXPECT_EQ(sql(pair.shadow, "SELECT v FROM t"), "in time");
}

TEST(PgHandover, UnreadableLogMakesNoClaim) {
  Pair pair;
  pair.make_shadow();
  const auto promoter = pair.promoter();
  const auto proof = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(proof);
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  PgCluster::run({"/bin/sh", "-c", "for f in " + pair.primary.data_dir + "/pg_wal/0*; do : > $f; done"});
  EXPECT_CODE(promoter->check_fenced(pair.who(1), pair.primary, pair.shadow, *proof, {}), Code::corrupt);
}

TEST(PgHandover, NobodyIsRevivedAfterAPromotionAndStaleAuthorityIsRefused) {
  Pair pair;
  pair.make_shadow();
  const auto promoter = pair.promoter();
  // Out of order: no promotion without a fence, no revival of what was not fenced but runs.
  EXPECT_CODE(promoter->promote(pair.who(5, 3), pair.shadow, {}), Code::refused);
  EXPECT_CODE(promoter->rejoin(pair.who(5, 3), pair.primary, pair.shadow, {}), Code::refused);
  ASSERT_OK(promoter->revive(pair.who(5, 3), pair.primary, {}));

  ASSERT_OK(promoter->fence(pair.who(5, 3), pair.primary, pair.shadow, {}));
  EXPECT_CODE(promoter->promote(pair.who(4, 3), pair.shadow, {}), Code::conflict);
  EXPECT_CODE(promoter->promote(pair.who(5, 2), pair.shadow, {}), Code::conflict);
  EXPECT_CODE(promoter->promote(pair.who(6, 2), pair.shadow, {}), Code::conflict);
  EXPECT_CODE(promoter->promote(pair.who(5, 3), pair.primary, {}), Code::refused);
  ASSERT_OK(promoter->promote(pair.who(5, 3), pair.shadow, {}));
  EXPECT_CODE(promoter->revive(pair.who(5, 3), pair.primary, {}), Code::refused);
  EXPECT_CODE(promoter->fence(pair.who(4, 3), pair.shadow, pair.primary, {}), Code::conflict);
  EXPECT_FALSE(answers(pair.primary));
  EXPECT_EQ(sql(pair.shadow, "SELECT pg_is_in_recovery()"), "f");
}

TEST(PgHandover, EveryStepMayBeRepeatedAndTheAgentKilledBetween) {
  Pair pair;
  pair.make_shadow();
  sql(pair.primary, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')");
  const auto promoter = pair.promoter();
  const auto again = [&] {
    pair.agent->kill();
    // No agent could look: that says nothing of the server.
    EXPECT_CODE(promoter->writable(pair.shadow, {}), Code::io);
    pair.agent->start();
  };
  const auto proof = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(proof);
  again();
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
    again();
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(promoter->check_fenced(pair.who(1), pair.primary, pair.shadow, *proof, {}));
    again();
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
    again();
    // The servers do not die with their agent.
    EXPECT_EQ(sql(pair.shadow, "SELECT v FROM t"), "kept");
  }
  // Late repetitions of earlier steps change nothing.
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  EXPECT_CODE(promoter->revive(pair.who(1), pair.primary, {}), Code::refused);
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {}));
    again();
    EXPECT_EQ(sql(pair.primary, "SELECT v FROM t"), "kept");
  }
  const auto late = promoter->fence(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(late);
  EXPECT_TRUE(answers(pair.primary)) << "a late fence of this epoch must not hit the standby";
}

// The agent dies at some moment inside a step; whoever asks again gets to the same end.
TEST(PgHandover, AgentKilledInsideAStepIsMendedByRepeatingIt) {
  for (const int delay_ms : {0, 2, 5, 10, 20, 40, 80}) {
    SCOPED_TRACE(delay_ms);
    Pair pair;
    pair.make_shadow();
    sql(pair.primary, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')");
    const auto promoter = pair.promoter();
    const auto proof = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
    ASSERT_OK(proof);
    const auto interrupted = [&](auto step) {
      decltype(step()) first = fail(Code::io, "not run");
      {
        std::jthread asking([&] { first = step(); });
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms);
        eventually([&] { return std::chrono::steady_clock::now() >= until; }, 5s);
        pair.agent->kill();
      }
      pair.agent->start();
      return step();
    };
    ASSERT_OK(interrupted([&] { return promoter->fence(pair.who(1), pair.primary, pair.shadow, {}); }));
    EXPECT_TRUE(processes_of(pair.primary.data_dir)->empty());
    ASSERT_OK(interrupted([&] { return promoter->check_fenced(pair.who(1), pair.primary, pair.shadow, *proof, {}); }));
    ASSERT_OK(interrupted([&] { return promoter->promote(pair.who(1), pair.shadow, {}); }));
    EXPECT_CODE(promoter->revive(pair.who(1), pair.primary, {}), Code::refused);
    ASSERT_OK(interrupted([&] { return promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {}); }));
    EXPECT_EQ(sql(pair.primary, "SELECT pg_is_in_recovery()"), "t");
    EXPECT_EQ(sql(pair.shadow, "SELECT v FROM t"), "kept");
  }
}

TEST(PgHandover, DivergedOldPrimaryIsRewoundOrSaidToNeedARebuild) {
  for (const bool hints : {true, false}) {
    SCOPED_TRACE(hints);
    Pair pair({.settings = {{"wal_log_hints", hints ? "on" : "off"}}});
    pair.make_shadow();
    sql(pair.primary, "CREATE TABLE t (v text)");
    const auto promoter = pair.promoter();
    ASSERT_OK(promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}));
    const auto sender =
        std::stoi(sql(pair.primary, "SELECT pid FROM pg_stat_replication WHERE application_name = 'shop-b'"));
    ASSERT_EQ(::kill(sender, SIGSTOP), 0);
    sql(pair.primary, "INSERT INTO t VALUES ('never acknowledged through us')");
    ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
    // A person decides to go on without that write.
    ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
    const auto rejoined = promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {});
    if (!hints) {
      EXPECT_CODE(rejoined, Code::refused);
      EXPECT_NE(rejoined.error().what.find("rebuild"), std::string::npos) << rejoined.error().what;
      continue;
    }
    ASSERT_OK(rejoined);
    EXPECT_NE(rejoined->find("rewound"), std::string::npos) << *rejoined;
    EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM t"), "0");
  }
}

TEST(PgHandover, OldPrimaryNeverBecomesSynchronous) {
  Pair pair;
  pair.make_shadow();
  const auto promoter = pair.promoter();
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
  sql(pair.shadow, "ALTER SYSTEM SET synchronous_standby_names = '*'");
  sql(pair.shadow, "SELECT pg_reload_conf()");
  ASSERT_TRUE(eventually([&] { return sql(pair.shadow, "SHOW synchronous_standby_names") == "*"; }));
  EXPECT_CODE(promoter->rejoin(pair.who(1), pair.primary, pair.shadow, {}), Code::refused);
  EXPECT_FALSE(answers(pair.primary));
}

TEST(PgHandover, RivalAuthorityForbidsOurPromotion) {
  Pair pair;
  pair.make_shadow();
  const auto promoter = pair.promoter();
  PgCluster::run({"/bin/touch", pair.primary.data_dir + "/patroni.dynamic.json"});
  const auto refused = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  EXPECT_CODE(refused, Code::refused);
  EXPECT_NE(refused.error().what.find("Patroni"), std::string::npos);
  PgCluster::run({"/bin/rm", pair.primary.data_dir + "/patroni.dynamic.json"});
  ASSERT_OK(promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {}));
  sql(pair.primary, "CREATE SCHEMA repmgr");
  const auto repmgr = promoter->prove_equal(pair.who(1), pair.primary, pair.shadow, {});
  EXPECT_CODE(repmgr, Code::refused);
  EXPECT_NE(repmgr.error().what.find("repmgr"), std::string::npos);
  // Also asked again where it would act: the schema is on the shadow by now.
  ASSERT_TRUE(eventually(
      [&] { return sql(pair.shadow, "SELECT count(*) FROM pg_namespace WHERE nspname = 'repmgr'") == "1"; }));
  ASSERT_OK(promoter->fence(pair.who(1), pair.primary, pair.shadow, {}));
  EXPECT_CODE(promoter->promote(pair.who(1), pair.shadow, {}), Code::refused);
  ASSERT_OK(promoter->revive(pair.who(1), pair.primary, {}));
  EXPECT_EQ(sql(pair.primary, "SELECT pg_is_in_recovery()"), "f");
}

}  // namespace
}  // namespace foreshadow::testing
