#include "support/pg_cluster.hpp"

#include <gtest/gtest.h>

namespace foreshadow {
namespace {

using testing::PgCluster;
using testing::PgDirectory;
using testing::PgStop;

// The ground every other PostgreSQL test stands on: a standby follows, survives its primary, and is promoted.
TEST(PgCluster, standby_follows_and_takes_over) {
  ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
  PgDirectory a, b;
  PgCluster primary, standby;
  primary.init(a.path());
  primary.start();
  primary.exec("CREATE TABLE t(x int); INSERT INTO t VALUES (1)");
  standby.basebackup_from(primary, b.path());
  standby.start();
  primary.exec("INSERT INTO t VALUES (2)");
  standby.wait_caught_up(primary);
  EXPECT_EQ(standby.exec("SELECT count(*) FROM t"), "2");
  EXPECT_THROW(standby.exec("INSERT INTO t VALUES (3)"), std::runtime_error);
  primary.stop(PgStop::immediate);
  EXPECT_FALSE(primary.running());
  standby.promote();
  standby.exec("INSERT INTO t VALUES (3)");
  EXPECT_EQ(standby.exec("SELECT count(*) FROM t"), "3");
}

}  // namespace
}  // namespace foreshadow
