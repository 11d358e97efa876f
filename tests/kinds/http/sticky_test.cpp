#include "kinds/http/sticky.hpp"

#include <gtest/gtest.h>

#include <boost/asio/ip/address.hpp>
#include <cmath>
#include <set>

#include "kinds/http/rig.hpp"
#include "kinds/http/session/affinity.hpp"
#include "kinds/http/wire/cookie.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

TEST(Sticky, IsReadFromItsText) {
  using By = Sticky::By;
  EXPECT_EQ(parse_sticky("connection"), (Sticky{By::connection, ""}));
  EXPECT_EQ(parse_sticky("address"), (Sticky{By::address, ""}));
  EXPECT_EQ(parse_sticky("request"), (Sticky{By::request, ""}));
  EXPECT_EQ(parse_sticky("cookie"), (Sticky{By::own_cookie, ""}));
  EXPECT_EQ(parse_sticky("cookie:foreshadow-side"), (Sticky{By::own_cookie, ""}));
  EXPECT_EQ(parse_sticky("cookie:SID"), (Sticky{By::cookie, "SID"}));
  EXPECT_EQ(parse_sticky("header:X-User"), (Sticky{By::header, "x-user"}));
  for (const auto* text : {"", "cookie:", "header:", "header", "cookie:a b", "cookies", "header:x:y", "connection:x"})
    EXPECT_FALSE(parse_sticky(text)) << text;
}

TEST(Sticky, HashesSpreadAndNeverDrawAfresh) {
  std::set<std::uint64_t> seen;
  int below = 0;
  constexpr int n = 10'000;
  for (int i = 0; i < n; ++i) {
    const auto hash = hash_of("user-" + std::to_string(i));
    EXPECT_NE(hash, 0u);
    seen.insert(hash);
    below += proxy::point_of(hash) < 0.3;
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(n));
  EXPECT_NEAR(below, n * 0.3, 5 * std::sqrt(n * 0.3 * 0.7));
  EXPECT_EQ(hash_of("user-1"), hash_of("user-1"));
}

RequestHead head_with(const std::string& text) { return *parse_request_head(text, {}); }

TEST(Cookies, AreFoundByTheirWholeName) {
  const auto find = [](const std::string& fields, std::string_view name) {
    const std::string text = "GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
    return std::string(find_cookie(head_with(text).fields, name));
  };
  EXPECT_EQ(find("Cookie: sid=5\r\n", "sid"), "5");
  EXPECT_EQ(find("Cookie: xsid=1; sid=5; sid=6\r\n", "sid"), "5");
  EXPECT_EQ(find("cookie: a=1;sid=a=b;c=2\r\n", "sid"), "a=b");
  EXPECT_EQ(find("Cookie: a=1\r\nCookie: sid=5\r\n", "sid"), "5") << "HTTP/2 may split them";
  EXPECT_EQ(find("Cookie: sid\r\n", "sid"), "");
  EXPECT_EQ(find("Cookie: sid=\r\n", "sid"), "");
  EXPECT_EQ(find("Cookie: SID=5\r\n", "sid"), "");
  EXPECT_EQ(find("Cookie: ;;; = ;\r\n", "sid"), "");
  EXPECT_EQ(find("X-Cookie: sid=5\r\n", "sid"), "");
}

TEST(Cookies, GoOnlyWithAnswersThatNoSharedCacheKeeps) {
  const auto may = [](const std::string& status, const std::string& fields) {
    return may_set_cookie(*parse_response_head("HTTP/1.1 " + status + "\r\n" + fields + "\r\n", {}));
  };
  EXPECT_TRUE(may("200 OK", ""));
  EXPECT_TRUE(may("200 OK", "Content-Type: text/html\r\n"));
  EXPECT_TRUE(may("200 OK", "Cache-Control: private, max-age=5\r\nETag: \"a\"\r\n"));
  EXPECT_TRUE(may("200 OK", "Cache-Control: no-store\r\n"));
  EXPECT_TRUE(may("404 Not Found", ""));
  EXPECT_FALSE(may("200 OK", "Cache-Control: max-age=60\r\n"));
  EXPECT_FALSE(may("200 OK", "Cache-Control: public\r\n"));
  EXPECT_FALSE(may("200 OK", "Cache-Control: no-cache\r\n")) << "stored, and asked for again";
  EXPECT_FALSE(may("200 OK", "Cache-Control: private=\"x-user\"\r\n")) << "only that field is private";
  EXPECT_FALSE(may("200 OK", "Expires: Sun, 06 Nov 2094 08:49:37 GMT\r\n"));
  EXPECT_FALSE(may("200 OK", "ETag: \"a\"\r\n"));
  EXPECT_FALSE(may("200 OK", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  EXPECT_FALSE(may("301 Moved", ""));
  EXPECT_FALSE(may("304 Not Modified", "Cache-Control: private\r\n")) << "it updates what is stored";
}

TEST(Affinity, FallsBackToTheConnection) {
  using boost::asio::ip::make_address;
  Affinity one({make_address("192.0.2.1"), 4000}), two({make_address("192.0.2.1"), 4001});
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\nCookie: sid=5\r\nX-User: u\r\n\r\n";
  const auto head = head_with(text);
  using By = Sticky::By;
  EXPECT_NE(one.key({By::connection, ""}, head).sticky, two.key({By::connection, ""}, head).sticky);
  EXPECT_EQ(one.key({By::address, ""}, head).sticky, two.key({By::address, ""}, head).sticky);
  EXPECT_EQ(one.key({By::cookie, "sid"}, head).sticky, two.key({By::cookie, "sid"}, head).sticky);
  EXPECT_EQ(one.key({By::header, "x-user"}, head).sticky, hash_of("u"));
  EXPECT_EQ(one.key({By::cookie, "other"}, head).sticky, one.key({By::connection, ""}, head).sticky);
  EXPECT_EQ(one.key({By::header, "x-other"}, head).sticky, one.key({By::connection, ""}, head).sticky);
  EXPECT_EQ(one.key({By::request, ""}, head).sticky, 0u);
  EXPECT_EQ(Affinity().key({By::connection, ""}, head).sticky, 0u);
}

struct Stickiness : Rig {
  // The side that answers, by its name; `cookie` takes what the gateway sets.
  std::string side(Stream& client, const std::string& fields = "", std::string* cookie = nullptr) {
    EXPECT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n"));
    const auto answer = read_message(client);
    if (!answer) return "?";
    if (cookie) *cookie = answer->field("set-cookie");
    return answer->body.substr(0, 1);
  }
};

// Few connections that carry many users, as from a load balancer: each user is on one side, over any connection, and
// only ever moves over as the weight grows.
TEST_F(Stickiness, UsersOfOneConnectionAreSplitAndMoveOnce) {
  listener().options["sticky"] = "cookie:sid";
  start();
  constexpr int n = 300;
  std::vector<bool> moved(n, false);
  for (const double weight : {0.1, 0.5, 0.9, 1.0}) {
    apply(split(weight, 0));
    auto first = connect(), second = connect();
    int other = 0;
    for (int i = 0; i < n; ++i) {
      const auto fields = "Cookie: a=b; sid=user" + std::to_string(i) + "\r\n";
      const auto at = side(first, fields);
      ASSERT_EQ(at, side(second, fields)) << "the same user on another connection";
      const auto k = static_cast<std::size_t>(i);
      EXPECT_FALSE(moved[k] && at == "a") << "user " << i << " moved back at " << weight;
      moved[k] = at == "b";
      other += at == "b";
    }
    EXPECT_NEAR(other, n * weight, 5 * std::sqrt(n * weight * (1 - weight)) + 1e-9) << weight;
  }
}

TEST_F(Stickiness, HeadersAndAddressesLikewise) {
  listener().options["sticky"] = "header:X-User";
  listener().matches[1].options["sticky"] = "address";
  start();
  apply(split(0.5, 0, 0.5, 0));
  std::set<std::string> users, addresses;
  for (int i = 0; i < 40; ++i) {
    auto client = connect();
    users.insert(side(client, "X-User: ada\r\n"));
    addresses.insert(ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")->body.substr(0, 1));
  }
  EXPECT_EQ(users.size(), 1u);
  EXPECT_EQ(addresses.size(), 1u);
}

TEST_F(Stickiness, TheGatewaysOwnCookieKeepsAClientWhereItWas) {
  listener().options["sticky"] = "cookie";
  start();
  auto before = connect();
  std::string none = "x";
  side(before, "", &none);
  EXPECT_EQ(none, "") << "no shadow, no cookie";
  apply(split(0.5, 0));
  int other = 0;
  std::set<std::string> ids;
  constexpr int n = 200;
  for (int i = 0; i < n; ++i) {
    auto client = connect();
    std::string cookie, again;
    const auto at = side(client, "", &cookie);
    const auto end = cookie.find(';');
    ASSERT_EQ(cookie.substr(end), "; Path=/; HttpOnly; SameSite=Lax");
    const auto pair = cookie.substr(0, end);
    ASSERT_EQ(pair.size(), std::string("foreshadow-side=").size() + 32);
    ids.insert(pair);
    EXPECT_EQ(side(client, "", &again), at) << "before the cookie came back";
    EXPECT_EQ(again, cookie);
    auto elsewhere = connect();
    EXPECT_EQ(side(elsewhere, "Cookie: " + pair + "\r\n", &again), at);
    EXPECT_EQ(again, "") << "one that has it is given no other";
    side(elsewhere, "Cookie: foreshadow-side=forged\r\n", &again);
    EXPECT_NE(again, "");
    other += at == "b";
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(n));
  EXPECT_NEAR(other, n * 0.5, 5 * std::sqrt(n * 0.25));
}

TEST_F(Stickiness, TheOwnCookieStaysOutOfCaches) {
  listener().options["sticky"] = "cookie";
  listener().options["trust_forwarded"] = "true";
  std::string fields = "Cache-Control: public, max-age=60\r\n";
  a.handle([&](const Message& m, Stream&) {
    return Backend::Reply{ok("a", m.target() == "/cached" ? "Cache-Control: max-age=60\r\n" : "Set-Cookie: own=1\r\n")};
  });
  start();
  apply(split(0, 0));
  EXPECT_EQ(get("/cached")->field("set-cookie"), "");
  const auto fresh = ask("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n");
  EXPECT_NE(fresh->head.find("Set-Cookie: own=1\r\n"), std::string::npos);
  EXPECT_NE(fresh->head.find("; SameSite=Lax; Secure\r\n"), std::string::npos);
}

TEST_F(Stickiness, RequestsThatNoSegmentTakesStayAndAreNotCopied) {
  listener().matches[0].conditions = {{"path", "/products/**"}};
  start();
  apply(split(1.0, 0));
  EXPECT_EQ(get("/products/5")->body, "b /products/5");
  // Forwarded as it came, whatever it was matched as.
  EXPECT_EQ(get("/%70roducts/5")->body, "b /%70roducts/5");
  EXPECT_EQ(get("/products/a%2Fb")->body, "b /products/a%2Fb");
  for (const auto* target : {"/x/../products/5", "/products/..%2forders", "//products/5", "/products;/5", "/elsewhere"})
    EXPECT_EQ(get(target)->body, std::string("a ") + target);
  apply(split(0, 1.0));
  EXPECT_EQ(get("/x/../products/5")->body, "a /x/../products/5");
  EXPECT_EQ(get("/products/last")->body, "a /products/last");
  ASSERT_TRUE(eventually([&] { return segment("browse").mirror.sent == 1; }));
  EXPECT_EQ(b.requests().back().target(), "/products/last");
}

TEST_F(Stickiness, ASegmentHasItsOwnTimeout) {
  listener().upstream_timeout = Millis{20'000};
  listener().matches[1].options["timeout"] = "150ms";
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/orders") a.stall();
    return Backend::Reply{ok("late")};
  });
  start();
  EXPECT_EQ(ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")->status(), 504);
  a.release();
  EXPECT_EQ(get("/")->status(), 200);
}

}  // namespace
}  // namespace foreshadow::kinds::http
