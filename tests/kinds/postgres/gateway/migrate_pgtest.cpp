// What sessions take along when they change their server: statements with the settings they were made under, LISTEN,
// advisory locks; there and back, on real servers. And what becomes of those that cannot.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <map>
#include <mutex>

#include "edge.hpp"

namespace foreshadow {
namespace {

using namespace foreshadow::testing;

HoldPolicy policy(Millis budget = Millis{5000}) {
  HoldPolicy p;
  p.lease = Millis{30'000};
  p.budget = budget;
  p.park_max = Millis{30'000};
  return p;
}

// A chain of clusters, each a standby of the one before: a handover there, and one to where a rejoined one would be.
class PgMigrate : public ::testing::Test {
 protected:
  struct Place {
    PgDirectory directory;
    PgCluster cluster;
    Instance instance;
  };
  void SetUp() override {
    ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
    options_.settings["max_connections"] = "500";
    places_.push_back(std::make_unique<Place>());
    auto& first = *places_.back();
    first.cluster.init(first.directory.path(), options_);
    first.cluster.start();
    first.instance = instance_of(first.cluster, "a", true);
    first.cluster.exec(
        "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t AS SELECT 'one' AS v; CREATE TABLE two.t AS SELECT "
        "'two' AS v; CREATE TABLE n(x int)");
    edge_ = std::make_unique<Edge>(settings_of(first.instance));
  }
  void TearDown() override { edge_.reset(); }

  PgCluster& primary() { return places_[at_]->cluster; }
  PgCluster& standby() { return places_[at_ + 1]->cluster; }

  void add_standby() {
    places_.push_back(std::make_unique<Place>());
    auto& place = *places_.back();
    place.cluster.basebackup_from(primary(), place.directory.path(), options_);
    place.cluster.start();
    place.cluster.wait_caught_up(primary());
    place.instance = instance_of(place.cluster, std::string(1, static_cast<char>('a' + places_.size() - 1)), true);
    edge_->put_in_force(table_of(at_, ++version_, places_[at_]->instance, place.instance));
  }
  // Every session has its connection to the shadow.
  void warm(int sessions) {
    EXPECT_TRUE(eventually([&] {
      return standby().exec(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> "
                 "pg_backend_pid() AND state = 'idle'") == std::to_string(sessions);
    }))
        << standby().exec(
               "SELECT count(*) || ': ' || string_agg(coalesce(state, '?') || ' ' || query, '; ') FROM "
               "pg_stat_activity WHERE backend_type = 'client backend'")
        << edge_->why_unmovable() << " " << edge_->report().sessions;
  }
  // The part of the engine and the agent.
  void hand_over(const std::function<void()>& before_opening = {}) {
    const auto held = edge_->hold(at_ + 1, policy());
    ASSERT_TRUE(held) << held.error().what;
    standby().wait_caught_up(primary());
    ASSERT_TRUE(edge_->seal(at_ + 1));
    primary().kill();
    standby().promote();
    ++at_;
    if (before_opening) before_opening();
    edge_->put_in_force(table_of(at_, ++version_, places_[at_]->instance));
  }
  static int count(PGconn* c, std::map<std::string, int>& seen) {
    PQconsumeInput(c);
    int n = 0;
    while (PGnotify* note = PQnotifies(c)) {
      ++seen[note->extra];
      PQfreemem(note);
      ++n;
    }
    return n;
  }
  static Answer run(Client& c, const char* statement) {
    return c.take(PQexecPrepared(c.raw(), statement, 0, nullptr, nullptr, nullptr, 0));
  }

  // Clients at work; whatever a test finds out, they end with it.
  struct Load {
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    void end() {
      stop = true;
      for (auto& t : threads) t.join();
      threads.clear();
    }
    ~Load() { end(); }
  };

  PgOptions options_;
  std::vector<std::unique_ptr<Place>> places_;
  std::size_t at_ = 0;
  std::uint64_t version_ = 0;
  std::unique_ptr<Edge> edge_;
};

// PostgreSQL looks names up again when a statement is run under another search_path, but to be made at all it must find
// them: t is there for two of these sessions' paths only, and `sole` for one.
TEST_F(PgMigrate, statements_are_made_again_under_the_settings_they_were_made_under) {
  primary().exec("CREATE TABLE one.sole AS SELECT 'sole' AS v; CREATE SCHEMA bare");
  Client c(edge_->port());
  const auto prepare = [&](const char* name, const char* sql) {
    return c.take(PQprepare(c.raw(), name, sql, 0, nullptr)).ok;
  };
  ASSERT_TRUE(c.query("SET search_path = one").ok);
  ASSERT_TRUE(prepare("p1", "SELECT v FROM sole"));
  ASSERT_TRUE(c.query("SET search_path = two").ok);
  ASSERT_TRUE(c.query("PREPARE p2 AS SELECT v FROM t").ok);
  ASSERT_TRUE(c.query("SET search_path = bare").ok);
  ASSERT_TRUE(c.query("BEGIN; SET LOCAL search_path = one").ok);
  ASSERT_TRUE(prepare("p3", "SELECT v FROM sole"));
  ASSERT_TRUE(c.query("ROLLBACK").ok);
  add_standby();
  warm(1);
  const Oid types[] = {23};
  ASSERT_TRUE(c.take(PQprepare(c.raw(), "ins", "INSERT INTO public.n VALUES ($1) RETURNING x", 1, types)).ok);
  for (int handovers = 0; handovers < 2; ++handovers) {
    EXPECT_EQ(edge_->unmovable(), 0) << edge_->why_unmovable();
    hand_over();
    EXPECT_EQ(c.query("SHOW search_path").value, "bare");
    const char* values[] = {"7"};
    EXPECT_EQ(c.take(PQexecPrepared(c.raw(), "ins", 1, values, nullptr, nullptr, 0)).value, "7") << c.why();
    EXPECT_FALSE(prepare("p1", "SELECT 1")) << "it is there";
    ASSERT_TRUE(c.query("BEGIN; SET LOCAL search_path = one").ok);
    EXPECT_EQ(run(c, "p1").value, "sole");
    EXPECT_EQ(run(c, "p2").value, "one");
    EXPECT_EQ(run(c, "p3").value, "sole");
    ASSERT_TRUE(c.query("ROLLBACK").ok);
    ASSERT_TRUE(c.query("DEALLOCATE p1; SET search_path = one").ok);
    EXPECT_EQ(run(c, "p1").sqlstate, "26000");
    ASSERT_TRUE(prepare("p1", "SELECT v FROM sole"));
    ASSERT_TRUE(c.query("SET search_path = bare").ok);
    if (handovers == 0) add_standby();
  }
  EXPECT_EQ(primary().exec("SELECT count(*) FROM n"), "2");
}

TEST_F(PgMigrate, the_shadow_follows_what_a_session_becomes) {
  Client c(edge_->port());
  add_standby();
  warm(1);
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(c.take(PQprepare(c.raw(), ("s" + std::to_string(i)).c_str(), ("SELECT " + std::to_string(i)).c_str(), 0,
                                 nullptr))
                    .ok);
  ASSERT_TRUE(c.query("DEALLOCATE s5").ok);
  EXPECT_TRUE(eventually([&] {
    return standby().exec(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%SELECT 99%' AND pid <> "
               "pg_backend_pid()") == "1";
  })) << standby().exec("SELECT string_agg(query, '; ') FROM pg_stat_activity");
  hand_over();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(run(c, "s99").value, "99");
  const auto followed = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(run(c, "s5").sqlstate, "26000");
  for (int i = 6; i < 100; ++i) ASSERT_EQ(run(c, ("s" + std::to_string(i)).c_str()).value, std::to_string(i));
  // The same without a shadow's connection that has followed: a fresh one gets all of it.
  c.query("SELECT pg_terminate_backend(pg_backend_pid())");
  Client d(edge_->port());
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(d.take(PQprepare(d.raw(), ("s" + std::to_string(i)).c_str(), "SELECT 1", 0, nullptr)).ok);
  const auto pid = d.query("SELECT pg_backend_pid()").value;
  primary().exec("SELECT pg_terminate_backend(" + pid + ")");
  ASSERT_TRUE(
      eventually([&] { return primary().exec("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid) == "0"; }));
  const auto again = std::chrono::steady_clock::now();
  EXPECT_EQ(run(d, "s99").value, "1") << "a session of settings and statements survives its server, too";
  const auto fresh = std::chrono::steady_clock::now() - again;
  RecordProperty("first_unit_followed_us",
                 static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(followed).count()));
  RecordProperty("login_and_100_statements_us",
                 static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(fresh).count()));
}

TEST_F(PgMigrate, advisory_locks_are_held_as_often_and_by_nobody_else) {
  primary().exec("CREATE FUNCTION quietly() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(99)'");
  Client c(edge_->port()), other(edge_->port());
  for (const char* lock :
       {"SELECT pg_advisory_lock(7)", "SELECT pg_advisory_lock(7)", "SELECT pg_advisory_lock(-1)",
        "SELECT pg_advisory_lock_shared(-3, 4)", "SELECT pg_try_advisory_lock(9000000000)", "SELECT quietly()"})
    ASSERT_TRUE(c.query(lock).ok) << lock;
  ASSERT_TRUE(other.query("SELECT pg_advisory_lock_shared(-3, 4)").ok);
  const auto free = [](Client& by, const std::string& key) {
    const bool got = by.query("SELECT pg_try_advisory_lock(" + key + ")").value == "t";
    if (got) by.query("SELECT pg_advisory_unlock(" + key + ")");
    return got;
  };
  for (int handovers = 0; handovers < 2; ++handovers) {
    add_standby();
    warm(2);
    hand_over();
    for (const char* key : {"7", "-1", "-3, 4", "9000000000", "99"}) EXPECT_FALSE(free(other, key)) << key;
    EXPECT_EQ(other.query("SELECT pg_try_advisory_lock_shared(-3, 4)").value, "t") << "shared is shared";
    EXPECT_EQ(other.query("SELECT pg_advisory_unlock_shared(-3, 4)").value, "t");
  }
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "t");
  EXPECT_FALSE(free(other, "7")) << "taken twice, given back once";
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "t");
  EXPECT_TRUE(free(other, "7"));
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "f");
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(99)").value, "t");
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgMigrate, a_lock_that_somebody_else_has_taken_ends_its_session_honestly) {
  Client c(edge_->port()), idle(edge_->port());
  ASSERT_TRUE(c.query("SELECT pg_advisory_lock(7)").ok);
  ASSERT_TRUE(idle.query("SELECT 1").ok);
  add_standby();
  warm(2);
  PGconn* direct = nullptr;
  hand_over([&] {
    direct = PQconnectdb(primary().conninfo().c_str());
    PQclear(PQexec(direct, "SELECT pg_advisory_lock(7)"));
  });
  const auto lost = c.query("SELECT 1");
  EXPECT_FALSE(lost.ok);
  EXPECT_NE(c.why().find("advisory lock"), std::string::npos) << c.why();
  EXPECT_TRUE(idle.query("INSERT INTO n VALUES (1)").ok);
  PQfinish(direct);
}

// Each has the lock for as long as it takes to say so twice; if two had it, one would find the other's word.
TEST_F(PgMigrate, two_sessions_never_hold_one_lock) {
  add_standby();
  std::atomic<int> inside = 0, rounds = 0, doubles = 0, errors = 0;
  std::mutex mutex;
  std::string first_error;
  Load load;
  for (int i = 0; i < 6; ++i)
    load.threads.emplace_back([&] {
      Client c(edge_->port());
      const auto ask = [&](const char* sql) {
        const auto answer = c.query(sql);
        if (!answer.ok) {
          ++errors;
          const std::lock_guard lock(mutex);
          if (first_error.empty()) first_error = answer.error;
        }
        return answer.value;
      };
      while (!load.stop && errors == 0) {
        if (ask("SELECT pg_try_advisory_lock(1)") != "t") continue;
        if (++inside != 1) ++doubles;
        ask("INSERT INTO n VALUES (1)");
        --inside;
        ++rounds;
        if (ask("SELECT pg_advisory_unlock(1)") != "t") ++errors;
      }
    });
  EXPECT_TRUE(eventually([&] { return rounds > 30; }));
  warm(6);
  hand_over();
  const int then = rounds;
  EXPECT_TRUE(eventually([&] { return rounds > then + 30 || errors > 0; }));
  load.end();
  EXPECT_EQ(errors, 0) << first_error;
  EXPECT_EQ(doubles, 0);
  EXPECT_EQ(primary().exec("SELECT count(*) FROM n"), std::to_string(rounds));
}

// Every committed notification reaches every listener exactly once, whatever moves meanwhile.
TEST_F(PgMigrate, notifications_arrive_exactly_once_through_handovers) {
  constexpr int listeners = 8, writers = 4;
  std::vector<std::unique_ptr<Client>> ears;
  std::vector<std::map<std::string, int>> heard(listeners);
  for (int i = 0; i < listeners; ++i) {
    ears.push_back(std::make_unique<Client>(edge_->port()));
    ASSERT_TRUE(ears.back()->query(i % 2 ? "LISTEN news" : "LISTEN \"news\"; LISTEN more").ok);
  }
  std::atomic<int> committed = 0, errors = 0;
  Load load;
  for (int w = 0; w < writers; ++w)
    load.threads.emplace_back([&, w] {
      Client c(edge_->port());
      for (int n = 0; !load.stop; ++n) {
        const auto note = std::to_string(w) + "." + std::to_string(n);
        if (n % 3 == 0 && !c.query("BEGIN; NOTIFY news, 'never'; ROLLBACK").ok) ++errors;
        if (!c.query("NOTIFY news, '" + note + "'").ok) {
          ++errors;
          return;
        }
        ++committed;
      }
    });
  const auto listen = [&] {
    for (int i = 0; i < listeners; ++i) count(ears[i]->raw(), heard[i]);
  };
  for (int handovers = 0; handovers < 2; ++handovers) {
    add_standby();
    warm(listeners + writers);
    const int then = committed;
    ASSERT_TRUE(eventually([&] { return listen(), committed > then + 100 || errors > 0; }));
    hand_over();
    ASSERT_TRUE(eventually([&] { return listen(), committed > then + 300 || errors > 0; }));
  }
  load.end();
  EXPECT_EQ(errors, 0);
  const auto all = [&] {
    listen();
    return std::all_of(heard.begin(), heard.end(),
                       [&](const auto& one) { return static_cast<int>(one.size()) >= committed; });
  };
  EXPECT_TRUE(eventually(all, std::chrono::seconds(10)));
  for (int i = 0; i < listeners; ++i) {
    EXPECT_EQ(static_cast<int>(heard[i].size()), committed) << i << " " << ears[i]->why();
    for (const auto& [note, times] : heard[i]) ASSERT_EQ(times, 1) << note;
    EXPECT_FALSE(heard[i].contains("never"));
  }
}

TEST_F(PgMigrate, many_loaded_sessions_go_there_and_back) {
  constexpr int sessions = 200, workers = 4;
  std::vector<std::unique_ptr<Client>> all;
  for (int i = 0; i < sessions; ++i) {
    const auto id = std::to_string(i);
    all.push_back(std::make_unique<Client>(edge_->port()));
    auto& c = *all.back();
    ASSERT_TRUE(c.query("SET search_path = " + std::string(i % 2 ? "one" : "two") + ", public").ok);
    for (int s = 0; s < 10; ++s)
      ASSERT_TRUE(c.take(PQprepare(c.raw(), ("s" + std::to_string(s)).c_str(),
                                   ("SELECT v || '" + std::to_string(s) + "' FROM t").c_str(), 0, nullptr))
                      .ok);
    ASSERT_TRUE(c.query("SELECT pg_advisory_lock(" + id + ")").ok);
    ASSERT_TRUE(c.query("LISTEN c" + id).ok);
    ASSERT_TRUE(c.query("SET work_mem = '" + std::to_string(1100 + i) + "kB'").ok);
  }
  for (int handovers = 0; handovers < 4; ++handovers) {
    add_standby();
    warm(sessions);
    // The first of them asks while the ground moves, the others are idle.
    std::atomic<int> errors = 0, done = 0;
    Load load;
    for (int w = 0; w < workers; ++w)
      load.threads.emplace_back([&, w] {
        while (!load.stop) {
          if (run(*all[w], "s3").value != std::string(w % 2 ? "one" : "two") + "3") {
            ++errors;
            return;
          }
          ++done;
        }
      });
    EXPECT_TRUE(eventually([&] { return done > 50; }));
    hand_over();
    load.end();
    ASSERT_EQ(errors, 0);
    EXPECT_EQ(primary().exec("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"),
              std::to_string(sessions));
    for (int i = 0; i < sessions; ++i) {
      auto& c = *all[i];
      const auto id = std::to_string(i);
      ASSERT_EQ(run(c, "s9").value, std::string(i % 2 ? "one" : "two") + "9") << i << " " << c.why();
      ASSERT_EQ(c.query("SHOW work_mem").value, std::to_string(1100 + i) + "kB");
      ASSERT_TRUE(all[(i + 1) % sessions]->query("NOTIFY c" + id + ", 'x" + std::to_string(handovers) + "'").ok);
    }
    for (int i = 0; i < sessions; ++i) {
      std::map<std::string, int> heard;
      ASSERT_TRUE(eventually([&] { return count(all[i]->raw(), heard), !heard.empty(); })) << i;
      EXPECT_EQ(heard, (std::map<std::string, int>{{"x" + std::to_string(handovers), 1}})) << i;
    }
  }
  EXPECT_EQ(edge_->report().in_flight, 0);
}

TEST_F(PgMigrate, a_handover_that_is_given_up_leaves_everything_as_it_was) {
  Client c(edge_->port()), writer(edge_->port());
  ASSERT_TRUE(c.query("LISTEN news; SELECT pg_advisory_lock(7)").ok);
  ASSERT_TRUE(c.query("SELECT pg_advisory_lock(7)").ok);
  add_standby();
  warm(2);
  std::map<std::string, int> heard;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(edge_->hold(1, policy()));
    if (i == 2) ASSERT_TRUE(edge_->seal(1));
    edge_->release(1);
    ASSERT_TRUE(writer.query("NOTIFY news, 'n" + std::to_string(i) + "'").ok);
    EXPECT_EQ(writer.query("SELECT pg_try_advisory_lock(7)").value, "f");
    ASSERT_TRUE(eventually([&] { return count(c.raw(), heard) > 0; }));
  }
  EXPECT_EQ(heard.size(), 3U);
  hand_over();
  ASSERT_TRUE(writer.query("NOTIFY news, 'last'").ok);
  ASSERT_TRUE(eventually([&] { return count(c.raw(), heard) > 0; }));
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "t");
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "t");
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "f");
}

// Without a handover nobody can say what a listener has missed, or who had the lock meanwhile.
TEST_F(PgMigrate, a_server_that_dies_by_itself_takes_its_listeners_with_it) {
  Client listener(edge_->port()), locker(edge_->port()), plain(edge_->port());
  ASSERT_TRUE(listener.query("LISTEN news").ok);
  ASSERT_TRUE(locker.query("SELECT pg_advisory_lock(7)").ok);
  ASSERT_TRUE(plain.take(PQprepare(plain.raw(), "s", "SELECT 1", 0, nullptr)).ok);
  add_standby();
  warm(3);
  primary().stop(PgStop::immediate);
  primary().start();
  EXPECT_FALSE(listener.query("SELECT 1").ok);
  EXPECT_FALSE(locker.query("SELECT 1").ok);
  EXPECT_EQ(run(plain, "s").value, "1") << plain.why();
}

TEST_F(PgMigrate, a_listener_that_was_not_heard_out_is_told) {
  Client listener(edge_->port()), plain(edge_->port());
  ASSERT_TRUE(listener.query("LISTEN news").ok);
  ASSERT_TRUE(plain.query("SELECT 1").ok);
  add_standby();
  warm(2);
  ASSERT_TRUE(edge_->hold(1, policy()));
  standby().wait_caught_up(primary());
  primary().kill();  // before the seal: what it still had to say is lost
  ASSERT_TRUE(edge_->seal(1));
  standby().promote();
  ++at_;
  edge_->put_in_force(table_of(1, ++version_, places_[1]->instance));
  EXPECT_TRUE(plain.query("INSERT INTO n VALUES (1)").ok);
  EXPECT_FALSE(listener.query("SELECT 1").ok);
  EXPECT_FALSE(listener.connected()) << "and does not go on as if nothing had been missed";
}

TEST_F(PgMigrate, what_the_shadow_cannot_repeat_is_named_before_a_handover) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("CREATE TABLE gone(x int)").ok);
  ASSERT_TRUE(c.take(PQprepare(c.raw(), "good", "SELECT 1", 0, nullptr)).ok);
  ASSERT_TRUE(c.take(PQprepare(c.raw(), "stale", "SELECT * FROM gone", 0, nullptr)).ok);
  ASSERT_TRUE(c.query("DROP TABLE gone").ok);
  add_standby();
  ASSERT_TRUE(eventually([&] { return edge_->unmovable() == 1; }));
  EXPECT_NE(edge_->why_unmovable().find("prepared statement \"stale\" cannot be repeated at b: relation \"gone\""),
            std::string::npos)
      << edge_->why_unmovable();
  EXPECT_EQ(edge_->hold(1, policy()).error().code, Code::refused);
  ASSERT_TRUE(c.query("DEALLOCATE stale").ok);
  ASSERT_TRUE(eventually([&] { return edge_->unmovable() == 0; })) << edge_->why_unmovable();
  hand_over();
  EXPECT_EQ(run(c, "good").value, "1");
}

// A standby refuses serializable transactions, and so every statement of such a session: it waits for the promotion.
TEST_F(PgMigrate, what_only_a_primary_can_do_waits_for_the_promotion) {
  Client c(edge_->port());
  ASSERT_TRUE(c.query("SET default_transaction_isolation = 'serializable'").ok);
  ASSERT_TRUE(c.take(PQprepare(c.raw(), "s", "SELECT v FROM one.t", 0, nullptr)).ok);
  ASSERT_TRUE(c.query("SELECT pg_advisory_lock(7); LISTEN news").ok);
  add_standby();
  warm(1);
  EXPECT_FALSE(eventually([&] { return edge_->unmovable() > 0; }, std::chrono::seconds(4))) << edge_->why_unmovable();
  hand_over();
  EXPECT_EQ(run(c, "s").value, "one") << c.why();
  EXPECT_EQ(c.query("SHOW transaction_isolation").value, "serializable");
  EXPECT_EQ(c.query("SELECT pg_advisory_unlock(7)").value, "t");
}

TEST_F(PgMigrate, what_the_server_reports_stays_true_whoever_set_it) {
  primary().exec(
      "CREATE FUNCTION away() RETURNS text LANGUAGE sql AS $$SELECT set_config('TimeZone', 'Asia/Tokyo', false)$$");
  Client c(edge_->port());
  ASSERT_EQ(c.query("SELECT away()").value, "Asia/Tokyo");
  add_standby();
  standby().set("DateStyle", "German");
  standby().reload();
  ASSERT_TRUE(eventually([&] { return standby().exec("SHOW DateStyle") == "German, DMY"; }));
  warm(1);
  const std::string before = PQparameterStatus(c.raw(), "DateStyle");
  hand_over();
  EXPECT_EQ(c.query("SHOW TimeZone").value, "Asia/Tokyo");
  EXPECT_EQ(c.query("SHOW DateStyle").value, before);
  EXPECT_EQ(PQparameterStatus(c.raw(), "DateStyle"), before);
}

// Portals live in transactions, and those are waited for: nothing is there to be moved.
TEST_F(PgMigrate, an_open_portal_keeps_its_transaction_where_it_is) {
  Client c(edge_->port());
  add_standby();
  warm(1);
  ASSERT_TRUE(c.query("BEGIN; DECLARE k CURSOR FOR SELECT generate_series(1, 10)").ok);
  ASSERT_EQ(c.query("FETCH 2 FROM k").value, "1");
  EXPECT_EQ(edge_->hold(1, policy(Millis{100})).error().code, Code::timeout);
  EXPECT_EQ(c.query("FETCH 1 FROM k").value, "3");
  ASSERT_TRUE(c.query("COMMIT").ok);
  hand_over();
  EXPECT_TRUE(c.query("INSERT INTO n VALUES (1)").ok);
}

// A client that goes away in the middle leaves nothing on either side.
TEST_F(PgMigrate, a_client_that_vanishes_while_it_moves_leaves_nothing) {
  add_standby();
  std::vector<std::unique_ptr<Client>> all;
  for (int i = 0; i < 20; ++i) {
    all.push_back(std::make_unique<Client>(edge_->port()));
    ASSERT_TRUE(all.back()->query("LISTEN x; SELECT pg_advisory_lock(" + std::to_string(i) + ")").ok);
  }
  warm(20);
  hand_over([&] {
    for (auto& c : all) shutdown(PQsocket(c->raw()), SHUT_RDWR);
  });
  EXPECT_TRUE(eventually([&] { return edge_->report().sessions == 0 && edge_->report().in_flight == 0; }));
  EXPECT_TRUE(eventually([&] {
    return primary().exec("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == "1" &&
           primary().exec("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0";
  }));
}

}  // namespace
}  // namespace foreshadow
