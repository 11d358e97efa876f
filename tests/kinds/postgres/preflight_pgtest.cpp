// Each finding of the preflight on a real pair, made and taken away again.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <functional>

#include "kinds/postgres/pair.hpp"
#include "kinds/postgres/preflight.hpp"
#include "support/eventually.hpp"

namespace foreshadow::testing {
namespace {

using namespace kinds::postgres;

class PgPreflightFinds : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PgCluster::available()) return;
    pair_ = new Pair({.settings = {{"max_prepared_transactions", "5"}, {"wal_level", "logical"}}});
    pair_->make_shadow();
  }
  static void TearDownTestSuite() {
    delete pair_;
    pair_ = nullptr;
  }
  void SetUp() override {
    if (pair_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
  }

  static std::vector<Finding> findings(std::map<std::string, std::string> options = {}) {
    const auto settings = *pg_settings(options);
    auto primary = Control::connect(pair_->primary.endpoint, settings, {});
    auto shadow = Control::connect(pair_->shadow.endpoint, settings, {});
    if (!primary || !shadow) return {{Weight::refuse, "no connection"}};
    const auto facts = look_before_handover(*primary, *shadow, pair_->primary, pair_->shadow, settings, {});
    if (!facts) return {{Weight::refuse, "not seen: " + facts.error().what}};
    return judge(*facts, settings);
  }
  static std::string said(Weight weight, std::map<std::string, std::string> options = {}) {
    return words_of(findings(std::move(options)), weight);
  }
  // The finding comes once it is so and the shadow has it, and goes when it is no more.
  static void comes_and_goes(Weight weight, const std::string& words, const std::function<void()>& make,
                             const std::function<void()>& unmake, std::map<std::string, std::string> options = {}) {
    const auto there = [&] { return said(weight, options).find(words) != std::string::npos; };
    EXPECT_FALSE(there()) << said(weight, options);
    make();
    EXPECT_TRUE(eventually(there)) << said(weight, options);
    unmake();
    EXPECT_TRUE(eventually([&] { return !there(); })) << said(weight, options);
  }
  static void on_primary(const std::string& text) { sql(pair_->primary, text); }
  static void on_shadow(const std::string& text) { sql(pair_->shadow, text); }
  // ALTER SYSTEM on a standby needs no recovery's leave: it writes a file.
  static void set_on(const Instance& instance, const std::string& name, const std::string& value) {
    sql(instance,
        value.empty() ? "ALTER SYSTEM RESET " + name : fmt::format("ALTER SYSTEM SET {} = '{}'", name, value));
    sql(instance, "SELECT pg_reload_conf()");
  }

  static inline Pair* pair_ = nullptr;
};

TEST_F(PgPreflightFinds, NothingToRefuseOnASoundPair) {
  EXPECT_EQ(said(Weight::refuse), "");
  EXPECT_EQ(said(Weight::warn), "");
}

TEST_F(PgPreflightFinds, UnloggedRelationsInEveryDatabase) {
  on_primary("CREATE DATABASE other");
  const auto other = [](const std::string& text) { pair_->cluster.exec(text, "other"); };
  other("CREATE UNLOGGED TABLE cache (v text)");
  EXPECT_EQ(said(Weight::refuse), "") << "an empty one loses nothing";
  comes_and_goes(
      Weight::refuse, "cache", [&] { other("INSERT INTO cache VALUES ('x')"); }, [&] { other("TRUNCATE cache"); });
  comes_and_goes(
      Weight::warn, "empty after a promotion", [&] { other("INSERT INTO cache VALUES ('x')"); },
      [&] { other("TRUNCATE cache"); }, {{"unlogged", "empty"}});
  on_primary("DROP DATABASE other");
}

TEST_F(PgPreflightFinds, Sequences) {
  comes_and_goes(
      Weight::warn, "1 sequences may skip", [] { on_primary("CREATE SEQUENCE s"); },
      [] { on_primary("DROP SEQUENCE s"); });
}

TEST_F(PgPreflightFinds, ReplayThatIsPausedOrLate) {
  comes_and_goes(
      Weight::refuse, "is paused", [] { on_shadow("SELECT pg_wal_replay_pause()"); },
      [] { on_shadow("SELECT pg_wal_replay_resume()"); });
  comes_and_goes(
      Weight::refuse, "replays late", [] { set_on(pair_->shadow, "recovery_min_apply_delay", "5s"); },
      [] { set_on(pair_->shadow, "recovery_min_apply_delay", ""); });
}

TEST_F(PgPreflightFinds, AShadowThatWouldRefuseOrStallWriters) {
  comes_and_goes(
      Weight::refuse, "nobody could write", [] { set_on(pair_->shadow, "default_transaction_read_only", "on"); },
      [] { set_on(pair_->shadow, "default_transaction_read_only", ""); });
  comes_and_goes(
      Weight::refuse, "would wait for a standby", [] { set_on(pair_->shadow, "synchronous_standby_names", "nobody"); },
      [] { set_on(pair_->shadow, "synchronous_standby_names", ""); });
  comes_and_goes(
      Weight::warn, "hangs with it", [] { set_on(pair_->primary, "synchronous_standby_names", "\"shop-b\""); },
      [] { set_on(pair_->primary, "synchronous_standby_names", ""); });
}

TEST_F(PgPreflightFinds, SlotsAndTheirConsumers) {
  comes_and_goes(
      Weight::refuse, "logical slot cdc",
      [] { on_primary("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')"); },
      [] { on_primary("SELECT pg_drop_replication_slot('cdc')"); });
  comes_and_goes(
      Weight::warn, "slot third stays behind",
      [] { on_primary("SELECT pg_create_physical_replication_slot('third')"); },
      [] { on_primary("SELECT pg_drop_replication_slot('third')"); });
}

TEST_F(PgPreflightFinds, OtherStandbys) {
  PgDirectory dir;
  PgCluster third;
  third.basebackup_from(pair_->cluster, dir.path());
  comes_and_goes(Weight::warn, "other standbys stream", [&] { third.start(); }, [&] { third.stop(PgStop::fast); });
}

TEST_F(PgPreflightFinds, PreparedTransactions) {
  on_primary("CREATE TABLE t (v text)");
  comes_and_goes(
      Weight::warn, "1 prepared transactions",
      [] { on_primary("BEGIN; INSERT INTO t VALUES ('x'); PREPARE TRANSACTION 'p'"); },
      [] { on_primary("ROLLBACK PREPARED 'p'"); });
  on_primary("DROP TABLE t");
}

TEST_F(PgPreflightFinds, CollationsThatChangedUnderAnIndex) {
  on_primary("CREATE TABLE c (v text COLLATE \"en-x-icu\"); CREATE INDEX ON c (v)");
  const auto version = sql(pair_->primary, "SELECT collversion FROM pg_collation WHERE collname = 'en-x-icu'");
  ASSERT_FALSE(version.empty());
  const auto set = [](const std::string& to) {
    on_primary(fmt::format("UPDATE pg_collation SET collversion = '{}' WHERE collname = 'en-x-icu'", to));
  };
  comes_and_goes(Weight::warn, "en-x-icu of database postgres", [&] { set("1"); }, [&] { set(version); });
  on_primary("DROP TABLE c");
}

TEST_F(PgPreflightFinds, ARoleThatMaySeeOrDoTooLittle) {
  on_primary("CREATE ROLE watcher LOGIN IN ROLE pg_monitor");
  ASSERT_TRUE(
      eventually([&] { return sql(pair_->shadow, "SELECT count(*) FROM pg_roles WHERE rolname = 'watcher'") == "1"; }));
  EXPECT_NE(said(Weight::refuse, {{"user", "watcher"}}).find("GRANT EXECUTE ON FUNCTION pg_promote TO watcher"),
            std::string::npos)
      << said(Weight::refuse, {{"user", "watcher"}});
  // Without a right to settings the pid file tells as much.
  on_primary("CREATE ROLE little LOGIN; GRANT EXECUTE ON FUNCTION pg_promote TO little");
  ASSERT_TRUE(eventually([&] { return said(Weight::refuse, {{"user", "little"}}).empty(); }))
      << said(Weight::refuse, {{"user", "little"}});
  on_primary("REVOKE ALL ON FUNCTION pg_promote FROM little; DROP ROLE little, watcher");
}

TEST_F(PgPreflightFinds, AServerInAnotherDirectory) {
  const auto settings = *pg_settings({});
  auto primary = Control::connect(pair_->primary.endpoint, settings, {});
  auto shadow = Control::connect(pair_->shadow.endpoint, settings, {});
  ASSERT_TRUE(primary && shadow);
  auto wrong = pair_->primary;
  wrong.data_dir = pair_->shadow.data_dir;
  const auto facts = look_before_handover(*primary, *shadow, wrong, pair_->shadow, settings, {});
  ASSERT_TRUE(facts) << facts.error().what;
  EXPECT_NE(words_of(judge(*facts, settings), Weight::refuse).find("a fence would miss it"), std::string::npos);
}

TEST_F(PgPreflightFinds, RivalsInFilesAndOnTheServer) {
  const auto trace = pair_->primary.data_dir + "/patroni.dynamic.json";
  comes_and_goes(
      Weight::refuse, "Patroni", [&] { PgCluster::run({"/bin/touch", trace}); },
      [&] { PgCluster::run({"/bin/rm", trace}); });
  comes_and_goes(
      Weight::refuse, "repmgr", [] { on_primary("CREATE SCHEMA repmgr"); }, [] { on_primary("DROP SCHEMA repmgr"); });
}

// What only a restart brings: settings of the two servers that do not go together.
TEST(PgPreflight, SettingsThatDoNotGoTogether) {
  if (!PgCluster::available()) GTEST_SKIP() << "no PostgreSQL server is installed";
  Pair pair({.settings = {{"wal_log_hints", "off"}, {"archive_mode", "on"}, {"archive_command", "/bin/true"}}});
  pair.make_shadow();
  // Found lower once the primary has been given more: the shadow has stopped replaying by then.
  const auto settings = *pg_settings({});
  auto primary = Control::connect(pair.primary.endpoint, settings, {});
  auto shadow = Control::connect(pair.shadow.endpoint, settings, {});
  ASSERT_TRUE(primary && shadow);
  auto facts = look_before_handover(*primary, *shadow, pair.primary, pair.shadow, settings, {});
  ASSERT_TRUE(facts) << facts.error().what;
  const auto warned = words_of(judge(*facts, settings), Weight::warn);
  EXPECT_NE(warned.find("copied anew"), std::string::npos) << warned;
  EXPECT_EQ(words_of(judge(*facts, settings), Weight::refuse), "");

  pair.cluster.set("max_connections", "200");
  pair.cluster.stop(PgStop::fast);
  pair.cluster.start();
  ASSERT_TRUE(eventually([&] { return answers(pair.primary); }));
  const auto refused = [&]() -> std::string {
    primary = Control::connect(pair.primary.endpoint, settings, {});
    if (!primary) return primary.error().what;
    facts = look_before_handover(*primary, *shadow, pair.primary, pair.shadow, settings, {});
    return facts ? words_of(judge(*facts, settings), Weight::refuse) : facts.error().what;
  };
  EXPECT_TRUE(eventually([&] {
    return refused().find("max_connections is 100 on shop-b and 200 on shop-a") != std::string::npos;
  })) << refused();
}

}  // namespace
}  // namespace foreshadow::testing
