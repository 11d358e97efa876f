// The shadow must not be the killer: real servers on real small volumes (tmpfs, so these tests need the right to
// mount).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/pair.hpp"
#include "kinds/postgres/processes.hpp"
#include "support/eventually.hpp"

namespace foreshadow::testing {
namespace {

using namespace std::chrono_literals;

#define ASSERT_OK(result) ASSERT_TRUE((result).has_value()) << (result).error().what

// A volume of its own size, gone with everything on it.
class SmallVolume {
 public:
  explicit SmallVolume(const std::string& size) {
    path_ = dir_.path() + "/volume";
    ::mkdir(path_.c_str(), 0755);
    const auto options = fmt::format("size={},uid={},gid={},mode=0755", size, PgCluster::uid(), PgCluster::gid());
    if (::mount("foreshadow-test", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
      throw std::runtime_error("this test mounts a tmpfs of " + size +
                               " and may not: run it as root with CAP_SYS_ADMIN");
  }
  ~SmallVolume() { ::umount2(path_.c_str(), MNT_DETACH); }
  const std::string& path() const { return path_; }
  std::uint64_t available() const { return kinds::postgres::volume_of(path_)->available_bytes; }

 private:
  PgDirectory dir_;
  std::string path_;
};

// Small segments and few of them, so that a small volume holds a whole life.
PgOptions small() {
  return {.settings = {{"max_wal_size", "4MB"},
                       {"min_wal_size", "2MB"},
                       {"shared_buffers", "8MB"},
                       {"autovacuum", "off"},
                       {"wal_keep_size", "0"}},
          .arguments = {"--wal-segsize=1"}};
}

// Appends until the server says no; the bytes of rows it had acknowledged by then.
std::uint64_t write_until_full(const Instance& primary) {
  constexpr std::uint64_t kRow = 1000;
  constexpr std::uint64_t kRows = 20;
  PGconn* connection = PQconnectdb(
      fmt::format("host={} port={} user=postgres dbname=postgres", primary.endpoint.host, primary.endpoint.port)
          .c_str());
  std::uint64_t written = 0;
  for (;;) {
    PGresult* result = PQexec(
        connection, fmt::format("INSERT INTO t SELECT repeat(md5(random()::text), {}) FROM generate_series(1, {})",
                                kRow / 32 + 1, kRows)
                        .c_str());
    const bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!ok) break;
    written += kRow * kRows;
  }
  PQfinish(connection);
  return written;
}

void make_table(const Instance& primary) {
  sql(primary, "CREATE TABLE t (v text)");
  sql(primary, "ALTER TABLE t ALTER v SET STORAGE PLAIN");
}

struct Life {
  std::uint64_t written = 0;  // until the server said no
  long long wal_bytes = 0;    // after 30 MB of it
};

enum class With { nothing, dead_shadow, dead_slot };

Life live(With what) {
  SmallVolume volume("110m");
  Pair pair(small(), volume.path());
  make_table(pair.primary);
  if (what == With::dead_shadow) {
    pair.make_shadow();
    // Stopped for good, as by a crash: nobody tells the primary.
    EXPECT_TRUE(kinds::postgres::kill_processes(pair.shadow.data_dir, 0ms, 10s).has_value());
    EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM pg_replication_slots"), "0");
  } else {
    // Checkpointed at the same moment as by a base copy.
    sql(pair.primary, "CHECKPOINT");
    if (what == With::dead_slot) sql(pair.primary, "SELECT pg_create_physical_replication_slot('left_behind', true)");
  }
  sql(pair.primary, "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 30000)");
  sql(pair.primary, "CHECKPOINT");
  Life life;
  life.wal_bytes = std::stoll(sql(pair.primary, "SELECT sum(size) FROM pg_ls_waldir()"));
  life.written = write_until_full(pair.primary);
  return life;
}

TEST(PgVolume, DeadShadowDoesNotShortenThePrimarysLife) {
  const auto control = live(With::nothing);
  const auto shadowed = live(With::dead_shadow);
  // What a slot would have done, so that this test is known to see it.
  const auto slotted = live(With::dead_slot);
  std::printf("  until full: control %llu bytes, dead shadow %llu, dead slot %llu; WAL after 30 MB: %lld, %lld, %lld\n",
              static_cast<unsigned long long>(control.written), static_cast<unsigned long long>(shadowed.written),
              static_cast<unsigned long long>(slotted.written), control.wal_bytes, shadowed.wal_bytes,
              slotted.wal_bytes);
  ASSERT_GT(control.written, 10'000'000U);
  // Where the last checkpoint falls is worth some percent of the volume from run to run, also without a shadow; a slot
  // takes three quarters of it.
  EXPECT_GE(static_cast<double>(shadowed.written), 0.9 * static_cast<double>(control.written));
  // pg_wal stays what max_wal_size allows, shadow or not.
  EXPECT_LE(shadowed.wal_bytes, control.wal_bytes + (2 << 20));
  EXPECT_LT(static_cast<double>(slotted.written), 0.5 * static_cast<double>(control.written));
  EXPECT_GT(slotted.wal_bytes, 2 * control.wal_bytes);
}

TEST(PgVolume, ShadowIsRefusedWhereItWouldBecomeSynchronous) {
  Pair pair;
  sql(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (other, \"shop-b\")'");
  sql(pair.primary, "SELECT pg_reload_conf()");
  ASSERT_TRUE(eventually([&] { return sql(pair.primary, "SHOW synchronous_standby_names") != ""; }));
  const auto refused = pair.replicator()->follow(pair.primary, pair.shadow, 1min, {}, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("synchronous"), std::string::npos) << refused.error().what;
}

TEST(PgVolume, BaseCopyIsRefusedWhereItWouldFillThePrimarysVolume) {
  SmallVolume volume("110m");
  Pair pair(small(), volume.path());
  make_table(pair.primary);
  sql(pair.primary, "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 30000)");
  auto beside = pair.shadow;
  beside.data_dir = volume.path() + "/shadow";
  const auto refused = pair.replicator()->follow(pair.primary, beside, 1min, {}, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("own volume"), std::string::npos) << refused.error().what;

  pair.options["headroom_min"] = "90MiB";
  const auto late = pair.replicator()->follow(pair.primary, pair.shadow, 1min, {}, {});
  ASSERT_FALSE(late.has_value());
  EXPECT_NE(late.error().what.find("too late"), std::string::npos) << late.error().what;
}

TEST(PgVolume, BaseCopyIsGivenUpWhenHeadroomGoesAndThePrimaryKeepsNothingOfIt) {
  SmallVolume volume("200m");
  Pair pair(small(), volume.path());
  make_table(pair.primary);
  sql(pair.primary, "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 30000)");
  pair.options["headroom_min"] = "40MiB";
  pair.options["max_rate"] = "2MiB";  // some thirty seconds for this cluster
  std::atomic<bool> copying{false};
  std::jthread filler([&] {
    eventually([&] { return copying.load(); }, 60s);
    std::ofstream(volume.path() + "/fills-up") << std::string(volume.available() - (30 << 20), 'x');
  });
  const auto given_up = pair.replicator()->follow(pair.primary, pair.shadow, 2min,
                                                  [&](double, const std::string&) { copying = true; }, {});
  ASSERT_FALSE(given_up.has_value());
  EXPECT_EQ(given_up.error().code, Code::refused);
  EXPECT_NE(given_up.error().what.find("given up"), std::string::npos) << given_up.error().what;
  EXPECT_TRUE(*kinds::postgres::is_empty_directory(pair.shadow.data_dir));
  ASSERT_TRUE(eventually([&] { return sql(pair.primary, "SELECT count(*) FROM pg_stat_replication") == "0"; }));
  EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM pg_replication_slots"), "0");
  EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM t"), "30000");
}

TEST(PgVolume, BaseCopyIsGivenUpWhenItsControllerIsGoneOrStops) {
  Pair pair;
  make_table(pair.primary);
  pair.options["max_rate"] = "8MiB";
  std::stop_source stop;
  std::atomic<bool> copying{false};
  Result<std::string> ended = fail(Code::io, "not run");
  std::jthread asking([&] {
    ended = pair.replicator()->follow(
        pair.primary, pair.shadow, 2min, [&](double, const std::string&) { copying = true; }, stop.get_token());
  });
  ASSERT_TRUE(
      eventually([&] { return copying && sql(pair.primary, "SELECT count(*) FROM pg_stat_replication") != "0"; }));
  stop.request_stop();
  asking.join();
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().code, Code::cancelled);
  ASSERT_TRUE(eventually([&] { return sql(pair.primary, "SELECT count(*) FROM pg_stat_replication") == "0"; }));
  EXPECT_TRUE(*kinds::postgres::is_empty_directory(pair.shadow.data_dir));

  // An agent that dies takes its copy with it; restarted and asked again, it begins anew over what it left.
  asking = std::jthread([&] { ended = pair.replicator()->follow(pair.primary, pair.shadow, 2min, {}, {}); });
  ASSERT_TRUE(eventually([&] {
    const auto empty = kinds::postgres::is_empty_directory(pair.shadow.data_dir);
    return empty && !*empty;
  }));
  // Rates are asked for anew with each question, so the second copy is a quick one.
  pair.options["max_rate"] = "unlimited";
  pair.agent->kill();
  ASSERT_TRUE(eventually([&] { return sql(pair.primary, "SELECT count(*) FROM pg_stat_replication") == "0"; }));
  pair.agent->start();
  ASSERT_OK(pair.replicator()->follow(pair.primary, pair.shadow, 2min, {}, {}));
  asking.join();
  ASSERT_OK(ended);
}

TEST(PgVolume, FullPrimaryIsFencedAndTheFenceSaysThatItIsThePointOfNoReturn) {
  SmallVolume volume("90m");
  Pair pair(small(), volume.path());
  make_table(pair.primary);
  const auto ballast = volume.path() + "/ballast";
  std::ofstream(ballast) << std::string(1 << 20, 'b');
  pair.options["ballast_file"] = ballast;
  pair.make_shadow();
  const auto promoter = pair.promoter();
  // Down to the last block, by somebody else: the server is alive and has not noticed yet.
  std::ofstream(volume.path() + "/rest") << std::string(volume.available() + 4096, 'x');
  ASSERT_LT(volume.available(), 4096U);

  const auto fenced = promoter->fence(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_OK(fenced);
  EXPECT_NE(fenced->find("ballast removed"), std::string::npos) << *fenced;
  EXPECT_NE(fenced->find("point of no return"), std::string::npos) << *fenced;
  EXPECT_TRUE(kinds::postgres::processes_of(pair.primary.data_dir)->empty());
  EXPECT_EQ(access((pair.primary.data_dir + "/standby.signal").c_str(), F_OK), 0);
  ASSERT_OK(promoter->promote(pair.who(1), pair.shadow, {}));
  EXPECT_EQ(sql(pair.shadow, "SELECT pg_is_in_recovery()"), "f");
}

TEST(PgVolume, FullPrimaryWithoutRoomIsLeftAsItWas) {
  SmallVolume volume("90m");
  Pair pair(small(), volume.path());
  make_table(pair.primary);
  pair.make_shadow();
  std::ofstream(volume.path() + "/rest") << std::string(volume.available() + 4096, 'x');
  const auto fenced = pair.promoter()->fence(pair.who(1), pair.primary, pair.shadow, {});
  ASSERT_FALSE(fenced.has_value());
  EXPECT_EQ(fenced.error().code, Code::refused);
  EXPECT_NE(fenced.error().what.find("ballast"), std::string::npos) << fenced.error().what;
  EXPECT_TRUE(answers(pair.primary));
  EXPECT_NE(access((pair.primary.data_dir + "/standby.signal").c_str(), F_OK), 0);
}

TEST(PgVolume, SlotOnlyWithABoundThatFitsAndGoneWithItsShadow) {
  Pair pair;
  pair.options["slot"] = "bounded";
  const auto unbounded = pair.replicator()->follow(pair.primary, pair.shadow, 1min, {}, {});
  ASSERT_FALSE(unbounded.has_value());
  EXPECT_EQ(unbounded.error().code, Code::refused);
  EXPECT_NE(unbounded.error().what.find("max_slot_wal_keep_size"), std::string::npos) << unbounded.error().what;
  EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM pg_replication_slots"), "0");

  sql(pair.primary, "ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'");
  sql(pair.primary, "SELECT pg_reload_conf()");
  ASSERT_TRUE(eventually([&] { return sql(pair.primary, "SHOW max_slot_wal_keep_size") == "64MB"; }));
  pair.make_shadow();
  EXPECT_EQ(sql(pair.primary, "SELECT slot_name FROM pg_replication_slots WHERE active"), "foreshadow_shop_b");
  ASSERT_OK(pair.replicator()->forget(pair.primary, pair.shadow, {}));
  EXPECT_EQ(sql(pair.primary, "SELECT count(*) FROM pg_replication_slots"), "0");
}

}  // namespace
}  // namespace foreshadow::testing
