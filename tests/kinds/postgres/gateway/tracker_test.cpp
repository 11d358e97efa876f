#include "kinds/postgres/gateway/tracker.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

using Verdict = Tracker::Verdict;
using Loss = Tracker::Loss;

// Plays both sides of a conversation into a tracker.
struct Talk {
  Tracker t;

  static Piece piece(char type, std::string_view body) {
    return {.head = true, .type = type, .length = static_cast<std::uint32_t>(body.size()), .body = body, .whole = true};
  }
  Verdict ask(char type, std::string_view body = {}) {
    const auto verdict = t.frontend(piece(type, body));
    EXPECT_TRUE(verdict) << type;
    return verdict.value_or(Verdict::swallow);
  }
  Talk& say(char type, std::string_view body = {}) {
    t.backend(piece(type, body));
    return *this;
  }
  static std::string z(std::string_view text) { return std::string(text) + '\0'; }

  void send_query(std::string_view sql) { ask('Q', z(sql)); }
  Talk& tag(std::string_view tag) { return say('C', z(tag)); }
  Talk& ready(char status) { return say('Z', std::string(1, status)); }
  Talk& fail() { return say('E', std::string_view("SERROR\0C22012\0Mbad\0\0", 20)); }
  // A simple statement that succeeds.
  void run(std::string_view sql, std::string_view with_tag, char status = 'I') {
    send_query(sql);
    tag(with_tag).ready(status);
  }
  void parse(std::string_view name, std::string_view sql) { ask('P', z(name) + z(sql) + std::string(2, '\0')); }
  void bind(std::string_view name) { ask('B', std::string(1, '\0') + z(name) + std::string(6, '\0')); }
  void execute() { ask('E', std::string(5, '\0')); }
  void prepare(std::string_view name, std::string_view sql, char status = 'I') {
    parse(name, sql);
    ask('S');
    say('1').ready(status);
  }
  void run_extended(std::string_view sql, std::string_view with_tag, char status = 'I') {
    parse("", sql);
    bind("");
    execute();
    ask('S');
    say('1').say('2').tag(with_tag).ready(status);
  }
};

TEST(Tracker, idle_only_when_everything_is_answered) {
  Talk c;
  EXPECT_TRUE(c.t.idle());
  c.send_query("SELECT 1");
  EXPECT_FALSE(c.t.idle());
  c.say('T').say('D').tag("SELECT 1");
  EXPECT_FALSE(c.t.idle());
  c.ready('I');
  EXPECT_TRUE(c.t.idle());
  c.run("BEGIN", "BEGIN", 'T');
  EXPECT_FALSE(c.t.idle());
  EXPECT_EQ(c.t.status(), 'T');
  c.run("COMMIT", "COMMIT");
  EXPECT_TRUE(c.t.idle());
}

TEST(Tracker, pipelined_requests_are_counted_one_by_one) {
  Talk c;
  c.send_query("SELECT 1");
  c.send_query("SELECT 2");
  c.parse("", "SELECT 3");
  c.bind("");
  c.ask('D', std::string("P\0", 2));
  c.execute();
  c.ask('S');
  c.tag("SELECT 1").ready('I');
  EXPECT_FALSE(c.t.idle());
  c.tag("SELECT 1").ready('I');
  EXPECT_FALSE(c.t.drained());
  c.say('1').say('2').say('T').say('D').tag("SELECT 1");
  EXPECT_FALSE(c.t.idle());
  c.ready('I');
  EXPECT_TRUE(c.t.idle());
  EXPECT_EQ(c.t.queued(), 0U);
}

TEST(Tracker, extended_requests_without_a_sync_are_an_open_transaction) {
  Talk c;
  c.parse("", "INSERT INTO t VALUES (1)");
  c.bind("");
  c.execute();
  c.ask('H');
  c.say('1').say('2').tag("INSERT 0 1");
  EXPECT_TRUE(c.t.drained());
  EXPECT_FALSE(c.t.idle());
  EXPECT_EQ(c.t.loss(), Loss::rolled_back);
  c.ask('S');
  EXPECT_EQ(c.t.loss(), Loss::unknown);
  c.ready('I');
  EXPECT_TRUE(c.t.idle());
}

TEST(Tracker, after_an_error_all_up_to_the_sync_is_dropped) {
  Talk c;
  c.parse("", "SELECT 1/0");
  c.bind("");
  c.execute();
  c.parse("", "SELECT 2");
  c.send_query("SELECT 3");  // dropped by the server as well
  c.ask('S');
  c.say('1').fail();
  EXPECT_FALSE(c.t.idle());
  c.ready('I');
  EXPECT_TRUE(c.t.idle());
  // The error comes before the client has sent its Sync.
  c.parse("", "nonsense");
  c.fail();
  c.bind("");
  EXPECT_EQ(c.t.queued(), 0U);
  EXPECT_FALSE(c.t.idle());
  c.ask('S');
  c.ready('I');
  EXPECT_TRUE(c.t.idle());
}

TEST(Tracker, copy_done_without_a_copy_costs_nothing) {
  Talk c;
  c.send_query("BEGIN");
  c.tag("BEGIN").ready('T');
  for (int i = 0; i < 10'000; ++i) c.ask('c');
  EXPECT_LE(c.t.queued(), 1U) << "the server never answers them";
}

TEST(Tracker, copy_in_by_simple_query) {
  Talk c;
  c.send_query("COPY t FROM STDIN");
  c.say('G');
  EXPECT_TRUE(c.t.in_copy());
  EXPECT_EQ(c.ask('d', "row"), Verdict::forward);
  EXPECT_EQ(c.ask('S'), Verdict::swallow) << "the server ignores Sync in copy-in mode";
  c.ask('c');
  c.tag("COPY 1").ready('I');
  EXPECT_TRUE(c.t.idle());
  EXPECT_FALSE(c.t.in_copy());
  // It fails while data is on its way: what comes late is nobody's.
  c.send_query("COPY t FROM STDIN");
  c.say('G');
  c.ask('d', "row");
  c.fail().ready('I');
  EXPECT_TRUE(c.t.idle());
  EXPECT_EQ(c.ask('d', "row"), Verdict::swallow);
  EXPECT_EQ(c.ask('c'), Verdict::swallow);
  EXPECT_TRUE(c.t.idle());
}

TEST(Tracker, copy_in_by_extended_query_has_a_sync_that_is_never_answered) {
  Talk c;
  // libpq sends a Sync with the Execute and another behind the data.
  c.parse("", "COPY t FROM STDIN");
  c.bind("");
  c.execute();
  c.ask('S');
  c.say('1').say('2').say('G');
  c.ask('d', "row");
  c.ask('c');
  c.ask('S');
  c.tag("COPY 1").ready('I');
  EXPECT_TRUE(c.t.idle());
  // Everything pipelined before the server says anything.
  c.parse("", "COPY t FROM STDIN");
  c.bind("");
  c.execute();
  c.ask('d', "row");
  c.ask('c');
  c.ask('S');
  c.say('1').say('2').say('G').tag("COPY 1").ready('I');
  EXPECT_TRUE(c.t.idle());
  // And when it fails before it begins, the first Sync is answered after all.
  c.parse("", "COPY missing FROM STDIN");
  c.bind("");
  c.execute();
  c.ask('S');
  c.ask('d', "row");
  c.ask('c');
  c.ask('S');
  c.fail().ready('I');
  EXPECT_FALSE(c.t.idle());
  c.ready('I');
  EXPECT_TRUE(c.t.idle());
}

TEST(Tracker, copy_out) {
  Talk c;
  c.send_query("COPY t TO STDOUT");
  c.say('H').say('d', "row");
  EXPECT_TRUE(c.t.in_copy());
  c.say('c').tag("COPY 1").ready('I');
  EXPECT_TRUE(c.t.idle());
}

// What the script would say on a fresh server, without the messages' own bytes.
std::string said(const Tracker& t) {
  std::string out;
  for (const auto& item : t.script().items()) {
    if (item.kind == Script::Item::Kind::close) continue;
    if (!out.empty()) out += " | ";
    if (!item.around.empty()) out += "(" + item.around.substr(0, item.around.find('\n')) + ") ";
    std::string body =
        item.body.substr(0, item.kind == Script::Item::Kind::parse ? item.body.size() - 3 : item.body.size());
    std::replace(body.begin(), body.end(), '\0', ' ');
    out += body;
  }
  return out;
}

TEST(Tracker, settings_follow_their_transaction) {
  Talk c;
  c.run("SET a = 1", "SET");
  c.run("SET b = 1", "SET");
  c.run("SET a = 2", "SET");
  EXPECT_EQ(said(c.t), "SET b = 1 | SET a = 2") << "in the order last made";
  const auto version = c.t.script().version();
  c.run("SELECT 1", "SELECT 1");
  EXPECT_EQ(c.t.script().version(), version);
  c.run("BEGIN", "BEGIN", 'T');
  c.run("SET c = 1", "SET", 'T');
  c.run("ROLLBACK", "ROLLBACK");
  EXPECT_EQ(c.t.script().version(), version);
  c.run("BEGIN", "BEGIN", 'T');
  c.run_extended("SET c = 1", "SET", 'T');
  c.run("COMMIT", "COMMIT");
  EXPECT_EQ(said(c.t), "SET b = 1 | SET a = 2 | SET c = 1");
  c.send_query("SET d = nonsense");
  c.fail().ready('I');
  EXPECT_EQ(said(c.t), "SET b = 1 | SET a = 2 | SET c = 1");
  c.run("RESET a", "RESET");
  EXPECT_EQ(said(c.t), "SET b = 1 | SET c = 1 | RESET a");
  c.run("SET ROLE x", "SET");
  c.run("RESET ALL", "RESET");
  EXPECT_EQ(said(c.t), "SET ROLE x | RESET ALL");
  EXPECT_EQ(c.t.pinned(), "");
}

TEST(Tracker, a_failed_transaction_that_commits_rolls_back) {
  Talk c;
  c.run("BEGIN", "BEGIN", 'T');
  c.run("SET a = 1", "SET", 'T');
  c.send_query("SELECT 1/0");
  c.fail().ready('E');
  c.run("COMMIT", "ROLLBACK");
  EXPECT_EQ(said(c.t), "");
  EXPECT_EQ(c.t.pinned(), "");
}

TEST(Tracker, a_setting_around_a_savepoint_is_in_doubt) {
  Talk c;
  c.run("BEGIN", "BEGIN", 'T');
  c.run("SAVEPOINT s", "SAVEPOINT", 'T');
  c.run("SET a = 1", "SET", 'T');
  c.run("ROLLBACK TO s", "ROLLBACK", 'T');
  c.run("COMMIT", "COMMIT");
  EXPECT_EQ(c.t.pinned(), "a setting that may or may not have been rolled back");
  c.run("DISCARD ALL", "DISCARD ALL");
  EXPECT_EQ(c.t.pinned(), "");
}

TEST(Tracker, prepared_statements_by_protocol_and_by_sql) {
  Talk c;
  c.prepare("s", "SELECT 1");
  EXPECT_EQ(said(c.t), "s SELECT 1");
  EXPECT_EQ(c.t.pinned(), "");
  c.ask('C', std::string("Ss\0", 3));
  c.ask('S');
  c.say('3').ready('I');
  EXPECT_EQ(said(c.t), "");
  c.parse("bad", "nonsense");
  c.ask('S');
  c.fail().ready('I');
  EXPECT_EQ(said(c.t), "") << "it was never made";
  // Not undone by a rollback.
  c.run("BEGIN", "BEGIN", 'T');
  c.run("PREPARE q AS SELECT 1", "PREPARE", 'T');
  c.run("ROLLBACK", "ROLLBACK");
  EXPECT_EQ(said(c.t), "PREPARE q AS SELECT 1");
  c.send_query("PREPARE r AS nonsense");
  c.fail().ready('I');
  EXPECT_EQ(said(c.t), "PREPARE q AS SELECT 1");
  EXPECT_EQ(c.t.pinned(), "");
  c.run_extended("DEALLOCATE q", "DEALLOCATE");
  EXPECT_EQ(said(c.t), "");
}

TEST(Tracker, a_statement_that_may_or_may_not_exist_pins_until_it_is_certain) {
  constexpr auto uncertain = "prepared statement that cannot be repeated for certain";
  Talk c;
  c.run("PREPARE q AS SELECT 1", "PREPARE");
  c.send_query("DEALLOCATE q; SELECT 1/0");
  c.tag("DEALLOCATE").fail().ready('I');
  EXPECT_EQ(c.t.pinned(), uncertain);
  c.run("DEALLOCATE ALL", "DEALLOCATE ALL");
  EXPECT_EQ(c.t.pinned(), "");
  c.send_query("SELECT 1/0; PREPARE q AS SELECT 1");
  c.fail().ready('I');
  EXPECT_EQ(c.t.pinned(), "") << "the first of them failed";
  c.send_query("SELECT 1; PREPARE q AS SELECT 1; SELECT 1/0");
  c.tag("SELECT 1").tag("PREPARE").fail().ready('I');
  EXPECT_EQ(c.t.pinned(), uncertain);
  c.ask('C', std::string("Sq\0", 3));
  c.ask('S');
  c.say('3').ready('I');
  EXPECT_EQ(c.t.pinned(), "");
}

TEST(Tracker, a_statement_is_repeated_under_the_settings_of_its_transaction) {
  Talk c;
  c.run("SET search_path = one", "SET");
  c.run("BEGIN", "BEGIN", 'T');
  c.run("SET LOCAL search_path = two", "SET", 'T');
  c.run("SET LOCAL statement_timeout = 1", "SET", 'T');
  c.run("SELECT set_config('app.tenant', '7', true)", "SELECT 1", 'T');
  c.prepare("s", "SELECT 1", 'T');
  c.run("SET search_path = three", "SET", 'T');
  c.run("PREPARE q AS SELECT 1", "PREPARE", 'T');
  c.run("COMMIT", "COMMIT");
  EXPECT_EQ(said(c.t),
            "SET search_path = one | (SET LOCAL search_path = two) s SELECT 1 | "
            "(SET LOCAL search_path = two) PREPARE q AS SELECT 1 | SET search_path = three");
  EXPECT_EQ(c.t.pinned(), "");
  // Which of them hold cannot be told behind a savepoint; without any there is nothing to tell.
  c.run("BEGIN", "BEGIN", 'T');
  c.run("SAVEPOINT a", "SAVEPOINT", 'T');
  c.run("ROLLBACK TO a", "ROLLBACK", 'T');
  c.prepare("t", "SELECT 1", 'T');
  EXPECT_EQ(c.t.pinned(), "");
  c.run("SELECT set_config('search_path', current_user, true)", "SELECT 1", 'T');
  c.prepare("u", "SELECT 1", 'T');
  c.run("COMMIT", "COMMIT");
  EXPECT_EQ(c.t.pinned(), "prepared statement that cannot be repeated for certain");
}

TEST(Tracker, what_a_named_statement_does_is_done_whenever_it_is_run) {
  Talk c;
  const auto run = [&](const char* name, const char* tag) {
    c.bind(name);
    c.execute();
    c.ask('S');
    c.say('2').tag(tag).ready('I');
  };
  c.prepare("l", "LISTEN x");
  c.prepare("s", "SET a = 1");
  c.prepare("d", "DEALLOCATE s");
  EXPECT_EQ(c.t.anchored(), "");
  run("l", "LISTEN");
  EXPECT_EQ(c.t.anchored(), "LISTEN");
  c.run("UNLISTEN x", "UNLISTEN");
  EXPECT_EQ(c.t.anchored(), "");
  run("l", "LISTEN");
  EXPECT_EQ(c.t.anchored(), "LISTEN");
  run("s", "SET");
  run("d", "DEALLOCATE");
  EXPECT_EQ(said(c.t).find("s SET"), std::string::npos);
  EXPECT_NE(said(c.t).find("| SET a = 1"), std::string::npos);
  EXPECT_EQ(c.t.pinned(), "");
  c.run("EXECUTE l", "LISTEN");
  EXPECT_EQ(c.t.pinned(), "EXECUTE of a statement that changes the session");
  // Pipelined behind its own Parse, and behind a second one that fails.
  Talk d;
  d.parse("l", "LISTEN x");
  d.bind("l");
  d.execute();
  d.ask('S');
  d.say('1').say('2').tag("LISTEN").ready('I');
  EXPECT_EQ(d.t.anchored(), "LISTEN");
  d.parse("l", "SELECT 1");
  d.ask('S');
  d.bind("l");
  d.execute();
  d.ask('S');
  d.fail().ready('I').say('2').tag("LISTEN").ready('I');
  EXPECT_EQ(d.t.pinned(), "prepared statement used before the server confirmed it");
}

TEST(Tracker, discard_all_leaves_nothing_but_what_came_after_it) {
  Talk c;
  c.run("SET a = 1", "SET");
  c.run("LISTEN x", "LISTEN");
  c.prepare("s", "SELECT 1");
  // The server commits it by itself, although the pipeline goes on.
  c.parse("", "DISCARD ALL");
  c.bind("");
  c.execute();
  c.parse("t", "SELECT 2");
  c.ask('S');
  c.say('1').say('2').tag("DISCARD ALL").say('1').ready('I');
  EXPECT_EQ(said(c.t), "t SELECT 2");
  EXPECT_EQ(c.t.anchored(), "");
}

TEST(Tracker, the_unnamed_statement_is_remembered_until_it_ends) {
  Talk c;
  c.run_extended("SELECT 1", "SELECT 1");
  EXPECT_FALSE(c.t.unnamed_parse().empty());
  c.run("SELECT 2", "SELECT 1");
  EXPECT_TRUE(c.t.unnamed_parse().empty()) << "a simple Query ends it";
  c.run_extended("SELECT '" + std::string(40 << 10, 'x') + "'", "SELECT 1");
  EXPECT_EQ(c.t.pinned(), "unnamed prepared statement larger than 32 KiB");
  c.run("SELECT 2", "SELECT 1");
  EXPECT_EQ(c.t.pinned(), "");
  // Bound again later, its effect happens again.
  c.run_extended("LISTEN x", "LISTEN");
  c.run("UNLISTEN *", "UNLISTEN");
  EXPECT_EQ(c.t.pinned(), "");
  c.parse("", "LISTEN y");
  c.ask('S');
  c.say('1').ready('I');
  EXPECT_EQ(c.t.pinned(), "") << "parsed is not run";
  c.bind("");
  c.execute();
  c.ask('S');
  c.say('2').tag("LISTEN").ready('I');
  EXPECT_EQ(c.t.anchored(), "LISTEN");
}

TEST(Tracker, listen_and_temporary_tables_follow_their_transaction_locks_do_not) {
  Talk c;
  c.run("BEGIN", "BEGIN", 'T');
  c.run("LISTEN x", "LISTEN", 'T');
  c.run("CREATE TEMP TABLE y(a int)", "CREATE TABLE", 'T');
  c.run("ROLLBACK", "ROLLBACK");
  EXPECT_EQ(c.t.pinned(), "");
  EXPECT_EQ(c.t.anchored(), "");
  c.run("BEGIN", "BEGIN", 'T');
  c.run("SELECT pg_advisory_lock(1)", "SELECT 1", 'T');
  c.run("ROLLBACK", "ROLLBACK");
  EXPECT_EQ(c.t.anchored(), "session advisory lock");
  c.run("SELECT pg_advisory_unlock_all()", "SELECT 1");
  EXPECT_EQ(c.t.anchored(), "");
  c.send_query("SELECT pg_advisory_lock(1), 1/0");
  c.fail().ready('I');
  EXPECT_EQ(c.t.anchored(), "session advisory lock") << "the failure does not give it back";
}

TEST(Tracker, statements_too_large_to_read_pin) {
  Talk c;
  auto large = Talk::piece('Q', "SELECT");
  large.whole = false;
  large.length = 2 << 20;
  ASSERT_TRUE(c.t.frontend(large));
  c.tag("SELECT 1").ready('I');
  EXPECT_EQ(c.t.pinned(), "statement larger than 1 MiB is not inspected");
}

TEST(Tracker, answers_that_nobody_asked_for_end_all_moving) {
  Talk c;
  c.send_query("SELECT 1");
  c.ready('I').ready('I');
  EXPECT_FALSE(c.t.idle());
  EXPECT_EQ(c.t.pinned(), "answers out of step with requests");
  c.send_query("SELECT 1");
  c.ready('I');
  EXPECT_FALSE(c.t.idle());
}

TEST(Tracker, what_a_lost_server_may_have_done) {
  Talk c;
  EXPECT_EQ(c.t.loss(), Loss::nothing);
  c.send_query("INSERT INTO t VALUES (1)");
  EXPECT_EQ(c.t.loss(), Loss::unknown);
  c.tag("INSERT 0 1").ready('I');
  c.run("BEGIN", "BEGIN", 'T');
  EXPECT_EQ(c.t.loss(), Loss::rolled_back);
  c.send_query("INSERT INTO t VALUES (2)");
  EXPECT_EQ(c.t.loss(), Loss::rolled_back);
  c.tag("INSERT 0 1").ready('T');
  c.send_query("ROLLBACK");
  EXPECT_EQ(c.t.loss(), Loss::rolled_back);
  c.send_query("INSERT INTO t VALUES (3)");
  EXPECT_EQ(c.t.loss(), Loss::unknown) << "pipelined behind the end of the transaction";
  c.tag("ROLLBACK").ready('I').tag("INSERT 0 1").ready('I');
  c.run("BEGIN", "BEGIN", 'T');
  c.send_query("COMMIT");
  EXPECT_EQ(c.t.loss(), Loss::unknown);
  c.tag("COMMIT").ready('I');
  c.run("BEGIN", "BEGIN", 'T');
  c.bind("named");
  EXPECT_EQ(c.t.loss(), Loss::unknown) << "nobody saw what it does";
}

TEST(Tracker, malformed_messages_are_refused) {
  Tracker t;
  EXPECT_FALSE(t.frontend(Talk::piece('Q', "no end")));
  EXPECT_FALSE(t.frontend(Talk::piece('P', "no end")));
  EXPECT_FALSE(t.frontend(Talk::piece('B', "no end")));
  EXPECT_FALSE(t.frontend(Talk::piece('D', "Z")));
  EXPECT_FALSE(t.frontend(Talk::piece('p', "secret")));
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
