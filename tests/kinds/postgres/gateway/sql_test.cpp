#include "kinds/postgres/gateway/sql.hpp"

#include <gtest/gtest.h>

namespace foreshadow::kinds::pg_gateway {
namespace {

using Kind = Effect::Kind;

std::vector<Kind> kinds(std::string_view text, bool backslashes = false) {
  std::vector<Kind> out;
  for (const auto& e : inspect(text, backslashes).effects) out.push_back(e.kind);
  return out;
}
Effect only(std::string_view text) {
  const auto effects = inspect(text, false).effects;
  EXPECT_EQ(effects.size(), 1U) << text;
  return effects.empty() ? Effect{} : effects.front();
}
const std::vector<Kind> nothing;

TEST(Sql, settings_are_known_by_name_and_kept_as_text) {
  EXPECT_EQ(only("SET work_mem = '4MB'"), (Effect{Kind::setting, "work_mem", "SET work_mem = '4MB'"}));
  EXPECT_EQ(only("  set /* x */ SESSION Work_Mem TO 4096 ; ").name, "work_mem");
  EXPECT_EQ(only("SET TIME ZONE 'UTC'").name, "timezone");
  EXPECT_EQ(only("SET NAMES 'UTF8'").name, "client_encoding");
  EXPECT_EQ(only("SET \"my.Own\" = 1").name, "my.own");
  EXPECT_EQ(only("SET app.user = '7'").name, "app.user");
  EXPECT_EQ(only("SET ROLE admin").name, "role");
  EXPECT_EQ(only("SET SESSION AUTHORIZATION joe").name, "session authorization");
  EXPECT_EQ(only("SET search_path TO DEFAULT").kind, Kind::reset);
  EXPECT_EQ(only("RESET work_mem"), (Effect{Kind::reset, "work_mem", "RESET work_mem"}));
  EXPECT_EQ(only("RESET ALL").kind, Kind::reset_all);
  EXPECT_EQ(only("SELECT pg_catalog.set_config('search_path', '', false)").name, "search_path");
  EXPECT_EQ(only("SELECT set_config('a', current_user, false)").kind, Kind::pin);
  EXPECT_EQ(only("SELECT 1, set_config('a', 'b', false)").kind, Kind::pin);
  for (const char* local : {"SET TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED"})
    EXPECT_EQ(kinds(local), nothing) << local;
}

TEST(Sql, settings_of_a_transaction_end_with_it) {
  EXPECT_EQ(only("SET LOCAL work_mem = 1"), (Effect{Kind::local_setting, "work_mem", "SET LOCAL work_mem = 1"}));
  EXPECT_EQ(only("SELECT set_config('a', 'b', true)"),
            (Effect{Kind::local_setting, "a", "SELECT set_config('a', 'b', true)"}));
  for (const char* unknown :
       {"SELECT set_config('a', $1, true), set_config('b', lower('x'), true)", "SELECT set_config($1, $2, true)"})
    EXPECT_EQ(only(unknown), (Effect{Kind::local_setting, "", ""})) << unknown;
  for (const char* lasting : {"SELECT set_config('a', $1, true), set_config('b', $2, false)",
                              "SELECT set_config('a', $1, not true)", "SELECT set_config('a', f('x', true), $1)",
                              "SELECT f(set_config('a', $1, $2), true)", "SELECT set_config('a', $1, true"})
    EXPECT_EQ(only(lasting).kind, Kind::pin) << lasting;
}

TEST(Sql, state_that_stays_behind) {
  EXPECT_EQ(only("PREPARE a(int) AS SELECT $1"), (Effect{Kind::prepare, "a", "PREPARE a(int) AS SELECT $1"}));
  EXPECT_EQ(only("PREPARE \"A\" AS SELECT 1").name, "A");
  EXPECT_EQ(only("DEALLOCATE PREPARE a").name, "a");
  EXPECT_EQ(only("DEALLOCATE ALL").kind, Kind::deallocate_all);
  EXPECT_EQ(only("EXECUTE a(1)"), (Effect{Kind::execute, "a", ""}));
  EXPECT_EQ(only("LISTEN News"), (Effect{Kind::listen, "news", "LISTEN News"}));
  EXPECT_EQ(only("LISTEN U&\"\\0441\"").kind, Kind::pin);
  EXPECT_EQ(only("PREPARE U&\"\\0441\" AS SELECT 1").kind, Kind::pin);
  EXPECT_EQ(only("UNLISTEN *").kind, Kind::unlisten_all);
  EXPECT_EQ(only("UNLISTEN news").kind, Kind::unlisten);
  EXPECT_EQ(only("DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1"), (Effect{Kind::hold_cursor, "c", ""}));
  EXPECT_EQ(kinds("DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1"), nothing);
  for (const char* temp :
       {"CREATE TEMP TABLE x(a int)", "create temporary view v as select 1", "CREATE LOCAL TEMPORARY TABLE x()",
        "CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "SELECT 1 INTO TEMP x", "SELECT 1 INTO TEMPORARY TABLE x",
        "SELECT 1 INTO LOCAL TEMP x", "CREATE TABLE pg_temp.x(a int)", "CREATE TEMP SEQUENCE s"})
    EXPECT_EQ(kinds(temp), std::vector{Kind::temporary}) << temp;
  EXPECT_EQ(kinds("CREATE TEMP TABLE x(a int) ON COMMIT DROP"), nothing);
  EXPECT_EQ(kinds("CREATE TABLE temp(a int)"), nothing);
  for (const char* lock : {"SELECT pg_advisory_lock(1)", "select pg_try_advisory_lock_shared (1, 2)",
                           "SELECT x FROM y WHERE \"pg_advisory_lock\"(3) IS NULL"})
    EXPECT_EQ(kinds(lock), std::vector{Kind::advisory_lock}) << lock;
  EXPECT_EQ(kinds("SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)"), nothing);
  EXPECT_EQ(only("LOAD 'auto_explain'").kind, Kind::pin);
  EXPECT_EQ(only("SELECT lastval()").kind, Kind::pin);
  EXPECT_EQ(only("SELECT dblink_connect('x')").kind, Kind::pin);
  EXPECT_EQ(only("DISCARD ALL").kind, Kind::discard_all);
  EXPECT_EQ(kinds("DISCARD PLANS"), nothing);
}

TEST(Sql, do_blocks_are_searched) {
  EXPECT_EQ(kinds("DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE x()'; END $$"), std::vector{Kind::pin});
  EXPECT_EQ(kinds("DO $$ BEGIN SET work_mem = 1; END $$"), std::vector{Kind::pin});
  EXPECT_EQ(kinds("DO 'BEGIN PERFORM pg_advisory_lock(1); END'"), std::vector{Kind::pin});
  EXPECT_EQ(kinds("DO $$ BEGIN UPDATE t SET x = 1; END $$"), nothing);
}

TEST(Sql, quoting_and_comments_hide_words) {
  for (const char* harmless :
       {"SELECT 'LISTEN x; PREPARE y'", "SELECT $$; LISTEN x$$", "SELECT $a$ $$ ; LISTEN x $a$",
        "SELECT \"; LISTEN x\" FROM t", "SELECT 1 -- ; LISTEN x", "SELECT /* /* ; */ LISTEN */ 1",
        "SELECT E'\\'; LISTEN x'", "SELECT 'it''s; LISTEN x'", "SELECT U&'\\0041; LISTEN x'", "SELECT a$b$c FROM t",
        "SELECT 'unterminated; LISTEN x", "SELECT (1; LISTEN x)"})
    EXPECT_EQ(kinds(harmless), nothing) << harmless;
  EXPECT_EQ(kinds("SELECT '\\'; LISTEN x"), std::vector{Kind::listen}) << "a backslash is only a character";
  EXPECT_EQ(kinds("SELECT '\\'; LISTEN x'", true), nothing) << "unless the session says otherwise";
  EXPECT_EQ(kinds("SELECT 1;-- one\nLISTEN x; SET a=1"), (std::vector{Kind::listen, Kind::setting}));
}

TEST(Sql, what_could_have_been_committed) {
  for (const char* ends : {"COMMIT", "END", "COMMIT PREPARED 'x'", "PREPARE TRANSACTION 'x'", "CALL p()",
                           "DO $$BEGIN END$$", "ROLLBACK PREPARED 'x'", "SELECT 1; COMMIT"})
    EXPECT_TRUE(inspect(ends, false).may_commit) << ends;
  for (const char* open : {"SELECT 1", "INSERT INTO t VALUES ('COMMIT')", "ROLLBACK", "SAVEPOINT a", "BEGIN"})
    EXPECT_FALSE(inspect(open, false).may_commit) << open;
  EXPECT_TRUE(inspect("ABORT", false).rolls_back);
  EXPECT_TRUE(inspect("ROLLBACK WORK TO SAVEPOINT a", false).to_savepoint);
  EXPECT_FALSE(inspect("ROLLBACK TO a", false).rolls_back);
}

TEST(Sql, only_plain_reads_may_be_repeated_elsewhere) {
  for (const char* plain :
       {"SELECT 1", "select * from t where a = $1", "SELECT count(*) FROM t;", "SELECT 'FOR UPDATE'"})
    EXPECT_TRUE(inspect(plain, false).plain_select) << plain;
  for (const char* other :
       {"SELECT 1 FOR UPDATE", "SELECT 1 FOR NO KEY UPDATE", "SELECT * FROM t FOR SHARE OF t", "SELECT 1 INTO x",
        "SELECT 1; SELECT 2", "INSERT INTO t SELECT 1", "WITH a AS (SELECT 1) SELECT 2", "SELECT pg_promote()",
        "SELECT pg_catalog.pg_switch_wal()", "SELECT lo_unlink(1)", "TABLE t", "", "SELECT pg_advisory_lock(1)",
        "SELECT dblink('x', 'DELETE FROM t')", "EXPLAIN SELECT 1"})
    EXPECT_FALSE(inspect(other, false).plain_select) << other;
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
