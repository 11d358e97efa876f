#include "kinds/postgres/gateway/script.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

// What a server session would make of it: each message as a word.
std::string shown(const std::vector<Script::Step>& steps) {
  std::string out;
  for (const auto& step : steps) {
    int ready = 0;
    Framer framer(Origin::frontend);
    std::string_view left = step.bytes;
    while (!left.empty()) {
      const auto piece = framer.next(left);
      EXPECT_TRUE(piece && *piece);
      if (!piece || !*piece) break;
      const auto& p = **piece;
      ready += p.type == 'Q' || p.type == 'S';
      if (p.type != 'S') {
        std::string body(p.body.substr(p.type == 'C' ? 1 : 0));
        std::replace(body.begin(), body.end(), '\0', ' ');
        std::replace(body.begin(), body.end(), '\n', ' ');
        while (!body.empty() && (body.back() == ' ' || body.back() == ';')) body.pop_back();
        if (!out.empty()) out += " | ";
        out += (p.type == 'Q' ? "" : p.type == 'P' ? "parse " : "close ") + body;
      }
      left.remove_prefix(p.size);
    }
    EXPECT_EQ(ready, step.ready) << step.what;
  }
  return out;
}
std::string all(const Script& s) { return shown(s.steps(0)); }
std::string parse_body(const std::string& name, const std::string& sql) {
  return name + '\0' + sql + std::string(3, '\0');
}

TEST(Script, the_last_word_counts_and_comes_in_its_place) {
  Script s;
  EXPECT_EQ(s.version(), 0U);
  s.set("a", "SET a = 1");
  s.set("b", "SET b = 1");
  s.set("a", "SET a = 2");
  EXPECT_EQ(all(s), "SET b = 1 ; SET a = 2");
  s.reset("b", "RESET b");
  EXPECT_EQ(all(s), "SET a = 2") << "a fresh session has nothing to take back";
  s.reset_all();
  EXPECT_EQ(all(s), "");
  EXPECT_EQ(s.items().size(), 1U);
}

TEST(Script, what_is_said_again_unchanged_is_no_news) {
  Script s;
  s.set("a", "SET a = 1");
  s.set("b", "SET b = 1");
  const auto version = s.version();
  s.set("a", "SET a = 1");
  EXPECT_EQ(s.version(), version);
  s.reset("a", "RESET a");
  s.set("a", "SET a = 1");
  EXPECT_GT(s.version(), version);
  EXPECT_EQ(all(s), "SET b = 1 ; SET a = 1");
  s.reset_all();
  s.set("a", "SET a = 1");
  EXPECT_EQ(shown(s.steps(version)), "RESET ALL | SET a = 1");
  s.set("role", "SET ROLE x");
  s.set("session authorization", "SET SESSION AUTHORIZATION y");
  s.set("role", "SET ROLE x");
  EXPECT_NE(all(s).find("y ; SET ROLE x"), std::string::npos) << "the one takes the other back";
  s.set("session authorization", "SET SESSION AUTHORIZATION z");
  EXPECT_EQ(all(s).find("SET ROLE x"), std::string::npos) << "the role may have been dropped since";
}

TEST(Script, a_statement_keeps_the_settings_it_was_made_under) {
  Script s;
  s.set("search_path", "SET search_path = one");
  s.parse("p", parse_body("p", "SELECT * FROM t"), "");
  s.set("search_path", "SET search_path = two");
  s.prepare("q", "PREPARE q AS SELECT * FROM t", "");
  s.set("search_path", "SET search_path = three");
  s.set("search_path", "SET search_path = four");
  EXPECT_EQ(all(s),
            "SET search_path = one | parse p SELECT * FROM t | SET search_path = two | "
            "PREPARE q AS SELECT * FROM t | SET search_path = four");
  s.deallocate("p");
  EXPECT_EQ(all(s), "SET search_path = two | PREPARE q AS SELECT * FROM t | SET search_path = four")
      << "and no longer than there is one";
  s.reset("search_path", "RESET search_path");
  EXPECT_EQ(all(s), "SET search_path = two | PREPARE q AS SELECT * FROM t | RESET search_path");
  s.reset_all();
  EXPECT_EQ(all(s), "SET search_path = two | PREPARE q AS SELECT * FROM t | RESET ALL");
  s.deallocate("q");
  EXPECT_EQ(all(s), "");
}

TEST(Script, what_a_transaction_set_is_set_around_its_statements) {
  Script s;
  s.parse("p", parse_body("p", "SELECT 1"), "SET LOCAL search_path = x");
  EXPECT_EQ(all(s), "BEGIN; SET LOCAL search_path = x | parse p SELECT 1 | ROLLBACK");
}

TEST(Script, a_session_that_follows_gets_the_news_only) {
  Script s;
  s.set("a", "SET a = 1");
  s.parse("p", parse_body("p", "SELECT 1"), "");
  const auto then = s.version();
  EXPECT_EQ(shown(s.steps(then)), "");
  s.set("a", "SET a = 2");
  s.reset("b", "RESET b");
  s.parse("q", parse_body("q", "SELECT 2"), "");
  EXPECT_EQ(shown(s.steps(then)), "SET a = 2 ; RESET b | close q | parse q SELECT 2");
  s.deallocate("p");
  EXPECT_EQ(shown(s.steps(then)), "SET a = 2 ; RESET b | close q | parse q SELECT 2 | close p");
  s.parse("p", parse_body("p", "SELECT 3"), "");
  EXPECT_EQ(shown(s.steps(then)), "SET a = 2 ; RESET b | close q | parse q SELECT 2 | close p | parse p SELECT 3");
  s.prepare("p", "PREPARE p AS SELECT 4", "");
  EXPECT_EQ(shown(s.steps(then)), "SET a = 2 ; RESET b | close q | parse q SELECT 2 | close p | PREPARE p AS SELECT 4");
  EXPECT_LE(s.horizon(), then);
}

TEST(Script, what_was_forgotten_makes_a_session_start_over) {
  Script s;
  s.parse("p", parse_body("p", "SELECT 1"), "");
  const auto then = s.version();
  s.deallocate_all();
  EXPECT_GT(s.horizon(), then);
  EXPECT_EQ(all(s), "");
  const auto before = s.version();
  s.deallocate_all();
  EXPECT_EQ(s.version(), before) << "nothing was there";
  for (int i = 0; i < 200; ++i) {
    const auto name = "n" + std::to_string(i);
    s.parse(name, parse_body(name, "SELECT 1"), "");
    s.deallocate(name);
  }
  EXPECT_GT(s.horizon(), before);
  EXPECT_LE(s.items().size(), 64U) << "what is no more is not remembered for ever";
  s.clear();
  EXPECT_EQ(s.bytes(), 0U);
  EXPECT_EQ(s.horizon(), s.version());
  EXPECT_EQ(shown({Script::start_over()}), "RESET SESSION AUTHORIZATION; RESET ALL; DEALLOCATE ALL");
}

TEST(Script, roles_decide_what_may_be_set_after_them) {
  Script s;
  s.set("role", "SET ROLE admin");
  s.set("log_statement", "SET log_statement = 'all'");
  s.set("role", "SET ROLE plain");
  s.reset_all();
  EXPECT_EQ(all(s), "SET ROLE plain") << "RESET ALL leaves roles alone";
  s.set("log_statement", "SET log_statement = 'ddl'");
  s.set("role", "SET ROLE other");
  EXPECT_EQ(all(s), "SET ROLE plain ; SET log_statement = 'ddl' ; SET ROLE other");
  s.set("role", "SET ROLE last");
  EXPECT_EQ(all(s), "SET ROLE plain ; SET log_statement = 'ddl' ; SET ROLE last");
}

TEST(Script, what_changes_how_statements_are_read_stands_alone) {
  Script s;
  s.set("a", "SET a = 1");
  s.set("client_encoding", "SET NAMES 'LATIN1'");
  s.set("b", "SET b = 1 -- why not");
  s.set("c", "SET c = 1");
  EXPECT_EQ(all(s), "SET a = 1 | SET NAMES 'LATIN1' | SET b = 1 -- why not ; SET c = 1");
}

TEST(Script, it_stays_small) {
  Script s;
  for (int i = 0; i < 1000; ++i) {
    s.set("search_path", "SET search_path = t" + std::to_string(i));
    s.set("role", "SET ROLE r" + std::to_string(i));
    const auto name = "p" + std::to_string(i % 10);
    s.parse(name, parse_body(name, "SELECT 1"), "");
    s.reset("role", "RESET ROLE");
  }
  EXPECT_LE(s.items().size(), 60U);
  EXPECT_LT(s.bytes(), 2000U);
}

// A server session reduced to what the script is about.
struct Server {
  std::map<std::string, std::string> settings, roles;
  std::map<std::string, std::string> statements;  // name -> text with the settings it was made under
  int errors = 0;

  std::string sees() const {
    std::string out;
    for (const auto& [name, value] : settings) out += name + "=" + value + " ";
    return out;
  }
  void sql(const std::string& text) {
    if (text == "RESET ALL") return settings.clear();
    if (text == "DEALLOCATE ALL") return statements.clear();
    if (text == "RESET SESSION AUTHORIZATION") return roles.clear();
    if (text.rfind("RESET ", 0) == 0) {
      settings.erase(text.substr(6));
      return;
    }
    if (text.rfind("PREPARE ", 0) == 0) return make(text.substr(8, text.find(' ', 8) - 8), text);
    const auto equals = text.find('=');
    ASSERT_EQ(text.rfind("SET ", 0), 0U) << text;
    settings[text.substr(4, equals - 4)] = text.substr(equals + 1);
  }
  void make(const std::string& name, const std::string& text) {
    if (!statements.emplace(name, text + " under " + sees()).second) ++errors;
  }
  void run(const std::vector<Script::Step>& steps) {
    for (const auto& step : steps) {
      Framer framer(Origin::frontend);
      for (std::string_view left = step.bytes; !left.empty();) {
        const auto piece = framer.next(left);
        ASSERT_TRUE(piece && *piece);
        const auto& p = **piece;
        std::string_view body = p.body;
        if (p.type == 'C') statements.erase(std::string(body.substr(1, body.size() - 2)));
        if (p.type == 'P') {
          const std::string name(*take_string(body));
          make(name, std::string(*take_string(body)));
        }
        if (p.type == 'Q') {
          std::string text(body.substr(0, body.size() - 1));
          for (std::size_t at = 0; at < text.size();) {
            auto end = std::min(text.find(';', at), text.size());
            std::string one = text.substr(at, end - at);
            std::erase(one, '\n');
            if (!one.empty()) sql(one);
            at = end + 1;
          }
        }
        left.remove_prefix(p.size);
      }
    }
  }
};

// Whatever a client does, a server session that gets the whole script, and one that follows it in bits and pieces, are
// what the client's own has become.
TEST(Script, any_session_is_made_again) {
  for (unsigned seed = 1; seed <= 80; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Script script;
    Server own, follower;
    std::uint64_t followed = 0;
    for (int i = 0; i < 200; ++i) {
      const std::string name = "s" + std::to_string(pick(4)), setting = "g" + std::to_string(pick(3));
      switch (pick(10)) {
        case 0:
        case 1:
        case 2: {
          const auto text = "SET " + setting + "=" + std::to_string(pick(3));
          own.sql(text);
          script.set(setting, text);
          break;
        }
        case 3:
          own.sql("RESET " + setting);
          script.reset(setting, "RESET " + setting);
          break;
        case 4:
          if (pick(4) > 0) break;
          own.sql("RESET ALL");
          script.reset_all();
          break;
        case 5:
        case 6: {
          const auto text = "SELECT " + std::to_string(i);
          if (own.statements.contains(name)) break;
          own.make(name, text);
          script.parse(name, parse_body(name, text), "");
          break;
        }
        case 7: {
          if (own.statements.contains(name)) break;
          const auto text = "PREPARE " + name + " AS SELECT " + std::to_string(i);
          own.sql(text);
          script.prepare(name, text, "");
          break;
        }
        case 8:
          own.statements.erase(name);
          script.deallocate(name);
          if (pick(30) == 0) {
            own.statements.clear();
            script.deallocate_all();
          }
          break;
        default:
          if (script.horizon() > followed) {
            follower.run({Script::start_over()});
            followed = 0;
          }
          follower.run(script.steps(followed));
          followed = script.version();
          ASSERT_EQ(follower.settings, own.settings) << seed;
          ASSERT_EQ(follower.statements, own.statements) << seed;
          ASSERT_EQ(follower.errors, 0) << seed;
          Server fresh;
          fresh.run(script.steps(0));
          ASSERT_EQ(fresh.settings, own.settings) << seed;
          ASSERT_EQ(fresh.statements, own.statements) << seed;
          ASSERT_EQ(fresh.errors, 0) << seed;
      }
    }
  }
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
