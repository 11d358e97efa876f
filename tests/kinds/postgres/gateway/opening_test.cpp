// What may come before a session, rule by rule; without a socket.
#include "kinds/postgres/gateway/opening.hpp"

#include <gtest/gtest.h>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

using Step = Opening::Step;
constexpr ClientTls kAll[] = {ClientTls::off, ClientTls::allow, ClientTls::require, ClientTls::verify_ca,
                              ClientTls::verify_full};

std::string gss_request() {
  std::string out;
  append_u32(out, 8);
  append_u32(out, 80877104);
  return out;
}

std::string hello(const std::string& user = "alice") {
  Startup startup;
  startup.version = 3 << 16;
  startup.parameters = {{"user", user}};
  return startup_packet(startup);
}

const std::string kClientHello = "\x16\x03\x01";

TEST(PgOpening, encryption_is_answered_by_the_rule) {
  for (const auto rule : kAll) {
    Opening opening(rule);
    EXPECT_EQ(opening.next(ssl_request().substr(0, 7)).step, Step::wait);
    const auto next = opening.next(ssl_request());
    EXPECT_EQ(next.step, rule == ClientTls::off ? Step::say_no : Step::say_yes);
    EXPECT_EQ(next.used, 8U);
    Opening gss(rule);
    EXPECT_EQ(gss.next(gss_request()).step, Step::say_no) << "GSS encryption is always declined";
    EXPECT_EQ(gss.next(ssl_request()).step, rule == ClientTls::off ? Step::say_no : Step::say_yes);
  }
}

TEST(PgOpening, a_session_begins_with_what_the_rule_asks_for) {
  for (const auto rule : kAll) {
    const bool plain = rule <= ClientTls::allow;
    Opening first(rule);
    EXPECT_EQ(first.next(hello()).step, plain ? Step::session : Step::refuse);
    Opening after_no(rule);
    EXPECT_EQ(after_no.next(gss_request()).step, Step::say_no);
    EXPECT_EQ(after_no.next(hello()).step, plain ? Step::session : Step::refuse);
    if (rule == ClientTls::off) continue;
    for (const std::string name : {"alice", "bob", ""}) {
      Opening asked(rule);
      EXPECT_EQ(asked.next(ssl_request()).step, Step::say_yes);
      EXPECT_TRUE(asked.secured("", name));
      const auto next = asked.next(hello());
      EXPECT_EQ(next.step, rule == ClientTls::verify_full && name != "alice" ? Step::refuse : Step::session);
      if (next.step == Step::refuse) EXPECT_EQ(next.refusal.sqlstate, "28000");
    }
  }
}

TEST(PgOpening, a_cancel_may_come_as_at_the_server) {
  for (const auto rule : kAll) {
    Opening opening(rule);
    const auto next = opening.next(cancel_request({7, "word"}));
    EXPECT_EQ(next.step, Step::cancel);
    EXPECT_EQ(next.startup.pid, 7U);
  }
}

TEST(PgOpening, tls_without_a_request_must_name_the_protocol) {
  for (const auto rule : kAll) {
    Opening opening(rule);
    EXPECT_FALSE(opening.begins_tls('\0'));
    EXPECT_EQ(opening.begins_tls(kClientHello[0]), rule != ClientTls::off);
    if (rule == ClientTls::off) EXPECT_EQ(opening.next(kClientHello).step, Step::hang_up);
    if (rule == ClientTls::off) continue;
    EXPECT_FALSE(Opening(opening).secured("", "alice"));
    EXPECT_TRUE(opening.secured("postgresql", "alice"));
    EXPECT_EQ(opening.next(hello()).step, Step::session);
  }
  Opening asked(ClientTls::require);
  EXPECT_EQ(asked.next(ssl_request()).step, Step::say_yes);
  EXPECT_TRUE(Opening(asked).secured("", ""));
  EXPECT_TRUE(Opening(asked).secured("postgresql", ""));
  EXPECT_FALSE(Opening(asked).secured("http/1.1", ""));
}

TEST(PgOpening, nothing_is_smuggled_and_nothing_asked_twice) {
  for (const auto rule : kAll) {
    for (const auto& request : {ssl_request(), gss_request()}) {
      for (const auto& behind : {hello(), ssl_request(), std::string("\x16"), std::string(1, '\0')}) {
        Opening opening(rule);
        EXPECT_EQ(opening.next(request + behind).step, Step::refuse);
      }
      Opening twice(rule);
      twice.next(request);
      EXPECT_EQ(twice.next(request).step, Step::refuse);
    }
    if (rule == ClientTls::off) continue;
    for (const auto& request : {ssl_request(), gss_request()}) {
      Opening within(rule);
      within.next(ssl_request());
      within.secured("", "alice");
      EXPECT_EQ(within.next(request).step, Step::refuse) << "no encryption within encryption";
    }
  }
}

TEST(PgOpening, what_is_no_startup_is_refused_in_the_server_s_manner) {
  std::string huge;
  append_u32(huge, 10'001);
  for (const auto& bytes : {huge, std::string("GET / HTTP/1.1\r\n\r\n"), std::string(4, '\0')}) {
    const auto next = Opening(ClientTls::allow).next(bytes);
    EXPECT_EQ(next.step, Step::refuse);
    EXPECT_EQ(next.refusal.sqlstate, "08P01");
  }
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
