// Paths in all the spellings that services read differently, and the conditions of segments.
#include "kinds/http/wire/match.hpp"

#include <gtest/gtest.h>

#include <array>

#include "kinds/http/readers.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::size_t kNone = 99;

// The segment of one request; kNone if it belongs to none.
std::size_t find(const std::vector<std::map<std::string, std::string>>& conditions, const std::string& request) {
  const auto matcher = Matcher::make(conditions);
  EXPECT_TRUE(matcher) << matcher.error().what;
  const auto head = parse_request_head(request, {});
  EXPECT_TRUE(head) << request;
  if (!matcher || !head) return kNone;
  const auto at = matcher->match(*head, read_connection(head->fields));
  return at == conditions.size() ? kNone : at;
}
std::size_t find(const std::vector<std::map<std::string, std::string>>& conditions, const std::string& method,
                 const std::string& target, const std::string& fields = "") {
  return find(conditions, method + " " + target + " HTTP/1.1\r\nHost: shop.example\r\n" + fields + "\r\n");
}
bool matches(const std::string& path, const std::string& target) {
  return find({{{"path", path}}}, "GET", target) == 0;
}
// Whether the search goes on behind a template, which it does only if that is certainly no match.
bool certainly_not(const std::string& path, const std::string& target) {
  return find({{{"path", path}}, {}}, "GET", target) == 1;
}
bool unknown(const std::string& path, const std::string& target) {
  return find({{{"path", path}}, {}}, "GET", target) == kNone;
}

TEST(Matcher, TakesTheFirstThatMatches) {
  const std::vector<std::map<std::string, std::string>> segments = {{{"method", "GET, HEAD"}, {"path", "/products/**"}},
                                                                    {{"method", "POST"}, {"path", "/orders"}},
                                                                    {{"path", "/**"}, {"method", "DELETE"}}};
  EXPECT_EQ(find(segments, "GET", "/products/5?x=/orders"), 0u);
  EXPECT_EQ(find(segments, "HEAD", "/products"), 0u);
  EXPECT_EQ(find(segments, "GET", "/productsx"), kNone);
  EXPECT_EQ(find(segments, "POST", "/orders?a"), 1u);
  EXPECT_EQ(find(segments, "POST", "/orders/5"), kNone);
  EXPECT_EQ(find(segments, "DELETE", "/x"), 2u);
  EXPECT_EQ(find(segments, "get", "/products/5"), kNone) << "methods are case-sensitive";
  EXPECT_EQ(find({{}}, "OPTIONS", "*"), 0u);
  EXPECT_EQ(find({{{"path", "/**"}}}, "OPTIONS", "*"), kNone);
  EXPECT_EQ(find({{{"method", "PUT\nPOST"}, {"path", "/a\n/b/{id}"}}}, "POST", "/b/7"), 0u) << "lists";
}

TEST(Matcher, TemplatesTakeWholeSegments) {
  EXPECT_TRUE(matches("/orders/{id}", "/orders/5"));
  EXPECT_TRUE(matches("/orders/{id}", "/orders/5?full=1"));
  EXPECT_TRUE(certainly_not("/orders/{id}", "/orders"));
  EXPECT_TRUE(certainly_not("/orders/{id}", "/orders/"));
  EXPECT_TRUE(certainly_not("/orders/{id}", "/orders/5/"));
  EXPECT_TRUE(certainly_not("/orders/{id}", "/orders/5/items"));
  EXPECT_TRUE(matches("/orders/{id}/items/{item}", "/orders/5/items/7"));
  EXPECT_TRUE(matches("/users/{id}/**", "/users/5"));
  EXPECT_TRUE(matches("/users/{id}/**", "/users/5/a/b"));
  EXPECT_TRUE(certainly_not("/users/{id}/**", "/users/"));
  EXPECT_TRUE(matches("/", "/"));
  EXPECT_TRUE(certainly_not("/", "/x"));
  EXPECT_TRUE(matches("/dir/", "/dir/"));
  EXPECT_TRUE(certainly_not("/dir/", "/dir"));
  EXPECT_TRUE(matches("/static/**", "/static/"));
  EXPECT_TRUE(certainly_not("/Static/**", "/static/x")) << "paths are case-sensitive";
}

TEST(Matcher, ReadsEncodedPathsAsTheyAreMeant) {
  EXPECT_TRUE(matches("/orders/{id}", "/%6frders/5"));
  EXPECT_TRUE(matches("/orders/{id}", "/%6F%72ders/a%20b"));
  EXPECT_TRUE(matches("/caf%C3%A9", "/caf%c3%a9"));
  EXPECT_TRUE(matches("/caf\xc3\xa9", "/caf%C3%A9"));
  EXPECT_TRUE(matches("/@me", "/%40me"));
  EXPECT_TRUE(certainly_not("/orders", "/%6frder"));
  EXPECT_TRUE(matches("/.well-known/**", "/.well-known/acme"));
  EXPECT_TRUE(matches("/a/...", "/a/..."));
}

TEST(Matcher, SpellingsThatServicesReadDifferentlyBelongToNoSegment) {
  // Dot segments: some services resolve them, some take them for names.
  for (const auto* target : {"/static/../orders", "/static/%2e%2e/orders", "/static/.%2E/orders", "/static/./../orders",
                             "/x/../orders", "/orders/../orders", "/../orders", "/./orders"}) {
    EXPECT_FALSE(matches("/orders", target)) << target;
    EXPECT_TRUE(unknown("/orders", target)) << target;
  }
  EXPECT_TRUE(unknown("/static/**", "/static/../orders"));
  EXPECT_TRUE(matches("/static/**", "/static/css/../site.css")) << "below it in both readings";
  EXPECT_TRUE(certainly_not("/admin/**", "/static/css/../site.css")) << "in neither";
  // Encoded separators, parameters, doubled slashes, broken and doubled escapes.
  for (const auto* target : {"/orders%2f5", "/orders%5c5", "/orders\\5", "//orders", "/orders//5", "/orders;v=1",
                             "/orders%3bv=1", "/orders%00", "/orders%", "/orders%4", "/orders%zz", "/orders%252f5",
                             "/%u006frders", "/orders%3f", "/orders%23", "/orders%0d%0a", "/orders%c0%af5"})
    EXPECT_TRUE(unknown("/orders", target)) << target;
  // What lies before such a place is certain, whatever follows.
  EXPECT_TRUE(matches("/products/**", "/products/a%2fb"));
  EXPECT_TRUE(matches("/products/**", "/products//b"));
  EXPECT_TRUE(matches("/products/**", "/products/100%25"));
  EXPECT_TRUE(matches("/products/**", "/products/x;v=1"));
  EXPECT_TRUE(certainly_not("/orders/**", "/products/a%2fb"));
  EXPECT_TRUE(unknown("/products/{id}", "/products/a%2fb"));
  EXPECT_TRUE(unknown("/products", "/products/;v=1"));
  // ... unless dots behind it might take it back.
  for (const auto* target :
       {"/products/x;/../../orders", "/products/a%2f..%2f..%2forders", "/products//../orders", "/products/..;/orders",
        "/products/%252e%252e/orders", "/products/%5c..%5corders", "/products/%c0%ae%c0%ae/orders",
        "/products/%u002e%u002e/orders", "/products/%2f%2e%2e/orders", "/products/;%2e%2E/orders"}) {
    EXPECT_TRUE(unknown("/products/**", target)) << target;
    EXPECT_TRUE(unknown("/orders", target)) << target;
  }
  EXPECT_TRUE(matches("/**", "/products/..;/orders")) << "everything is everything";
}

// A segment that honours the mirror's mark must not be had by spelling: the search ends where it is not known.
TEST(Matcher, NothingIsHadByFallingThrough) {
  const std::vector<std::map<std::string, std::string>> segments = {{{"path", "/admin/**"}}, {{"method", "POST"}}};
  EXPECT_EQ(find(segments, "POST", "/orders"), 1u);
  EXPECT_EQ(find(segments, "POST", "/admin/pay"), 0u);
  for (const auto* target : {"/x/../admin/pay", "/admin%2fpay", "//admin/pay", "/x;/../admin/pay", "/%2561dmin/pay"})
    EXPECT_EQ(find(segments, "POST", target), kNone) << target;
}

TEST(Matcher, HostsWithoutTheirPorts) {
  const auto host = [](const std::string& condition, const std::string& host) {
    return find({{{"host", condition}}}, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n") == 0;
  };
  EXPECT_TRUE(host("shop.example", "shop.example"));
  EXPECT_TRUE(host("Shop.Example", "shOP.example:8080"));
  EXPECT_TRUE(host("shop.example", "shop.example."));
  EXPECT_FALSE(host("shop.example", "shop.example.org"));
  EXPECT_FALSE(host("shop.example", "www.shop.example"));
  EXPECT_TRUE(host("*.shop.example", "a.b.shop.example"));
  EXPECT_FALSE(host("*.shop.example", "shop.example"));
  EXPECT_FALSE(host("*.shop.example", "badshop.example"));
  EXPECT_TRUE(host("a.example, b.example", "b.example"));
  EXPECT_TRUE(host("[::1]", "[::1]:80"));
  EXPECT_FALSE(host("shop.example", ""));
  EXPECT_FALSE(host("*.example", "shop%2e.example"));
  EXPECT_EQ(find({{{"host", "a.example"}}}, "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n"), 0u);
  EXPECT_EQ(find({{{"host", "a.example"}}}, "GET / HTTP/1.0\r\n\r\n"), kNone);
}

TEST(Matcher, HeadersByPresenceOrValue) {
  const auto header = [](const std::string& condition, const std::string& fields) {
    return find({{{"header", condition}}, {}}, "GET", "/", fields);
  };
  EXPECT_EQ(header("X-Beta", "x-beta: \r\n"), 0u);
  EXPECT_EQ(header("X-Beta", ""), 1u);
  EXPECT_EQ(header("X-Tier: gold", "X-Tier:  gold \r\n"), 0u);
  EXPECT_EQ(header("X-Tier: gold", "X-Tier: Gold\r\n"), 1u);
  EXPECT_EQ(header("X-Tier: gold\nX-Beta", "X-Tier: gold\r\n"), 1u);
  EXPECT_EQ(header("X-Tier: gold\nX-Beta", "X-Tier: gold\r\nX-Beta: 1\r\n"), 0u);
  EXPECT_EQ(header("X-Tier: gold", "X-Tier: gold\r\nX-Tier: lead\r\n"), kNone) << "which one does the service take?";
  EXPECT_EQ(header("X-Tier: gold", "Connection: x-tier\r\nX-Tier: gold\r\n"), kNone) << "it never gets there";
}

TEST(Matcher, RefusesWhatWouldNeverMatch) {
  const auto why = [](const std::string& name, const std::string& value) {
    const auto checked = Matcher::check(name, value);
    return checked ? std::string() : checked.error().what;
  };
  for (const auto* path :
       {"orders", "",       "/a*b",    "/a/**/b", "/a//b", "//",       "/a/../b", "/./a", "/a;b", "/a%2fb",
        "/a%",    "/a%zz",  "/a?b",    "/a#b",    "/a\\b", "/{a}/{a}", "/{a",     "/a}",  "/{}",  "/x{a}",
        "/{a}x",  "/{a b}", "/{a{b}}", "/a\tb",   "/a%0a", "a/**",     "/a//**",  "*",    "**",   "/a\n"})
    EXPECT_NE(why("path", path), "") << path;
  EXPECT_NE(why("path", "/" + std::string(2000, 'a')), "");
  for (const auto* path : {"/", "/**", "/a", "/a/", "/a/**", "/{a}", "/{a}/{b}/**", "/caf\xc3\xa9", "/a b", "/a,b"})
    EXPECT_EQ(why("path", path), "") << path;
  EXPECT_EQ(why("path", "/pro*ducts"),
            "path '/pro*ducts' has '*' in it; write {name} for one segment, or end it in \"/**\" for all below");
  EXPECT_NE(why("method", "GE T"), "");
  EXPECT_NE(why("method", ","), "");
  for (const auto* host : {"http://a", "a:80", "*", "*.", "a..b", ".a", "a/b", "a b", "[", "a.example."})
    EXPECT_NE(why("host", host), "") << host;
  for (const auto* header : {"", ":", "X Y", "X-Y:", "Host: a", "connection", "Foreshadow-Mirror", "Cookie: a=b",
                             "X-Api-Token: abc", "Authorization: Bearer abc", "X-A\n"})
    EXPECT_NE(why("header", header), "") << header;
  EXPECT_EQ(why("header", "Authorization"), "") << "that it is there is no secret";
  EXPECT_FALSE(Matcher::make({{{"port", "80"}}}));
}

// All paths of up to four of these pieces, against every reader: a verdict other than unknown is everybody's.
TEST(PathTemplate, NoReaderDisagreesWithAVerdict) {
  struct Case {
    std::string text;
    std::vector<std::optional<std::string>> parts;
    bool tail;
  };
  const std::vector<Case> cases = {{"/a/**", {"a"}, true},
                                   {"/a", {"a"}, false},
                                   {"/a/{x}", {"a", std::nullopt}, false},
                                   {"/{x}/a/**", {std::nullopt, "a"}, true},
                                   {"/a/", {"a", ""}, false}};
  const std::vector<std::string> pieces = {"/a",     "/b",    "/..", "/.", "/",   "%2f",
                                           "%2e%2e", "%252e", ";",   "\\", "%61", ".."};
  std::vector<PathTemplate> templates;
  for (const auto& c : cases) templates.push_back(*PathTemplate::parse(c.text));
  std::array<char, 256> resolved_bytes{}, kept_bytes{};
  std::size_t certain = 0, all = 0;
  const auto check = [&](const std::string& path) {
    const auto resolved = read_path(path, Dots::resolved, resolved_bytes);
    const auto kept = read_path(path, Dots::kept, kept_bytes);
    std::vector<std::size_t> told;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto verdict = templates[i].match(resolved);
      if (verdict != Match::unknown && templates[i].match(kept) == verdict) told.push_back(i);
    }
    all += cases.size();
    certain += told.size();
    for (int bits = 0; !told.empty() && bits < testing::kHabitSets; ++bits) {
      const auto segments = testing::read_as(path, testing::habits(bits));
      for (const auto i : told)
        ASSERT_EQ(testing::fits(segments, cases[i].parts, cases[i].tail), templates[i].match(resolved) == Match::yes)
            << path << " against " << cases[i].text << " by reader " << bits;
    }
  };
  std::vector<std::string> paths = {""};
  for (int length = 1; length <= 4; ++length) {
    std::vector<std::string> longer;
    for (const auto& path : paths)
      for (const auto& piece : pieces)
        if (!path.empty() || piece.starts_with('/')) longer.push_back(path + piece);
    for (const auto& path : longer) {
      check(path);
      if (HasFatalFailure()) return;
    }
    paths = std::move(longer);
  }
  EXPECT_GT(certain, all / 20) << "not by never saying anything";
}

// Whatever the path: what is written stays inside the buffer, and a buffer that is too small makes nothing certain.
TEST(ReadPath, StaysInItsBuffer) {
  std::array<char, 4> small{};
  EXPECT_FALSE(read_path("/a%20b", Dots::resolved, small).certain);
  EXPECT_EQ(read_path("/abcdef", Dots::resolved, small).text, "/abcdef") << "plain paths need none";
  std::array<char, 64> buffer{};
  const auto resolved = [&](std::string_view path) {
    const auto read = read_path(path, Dots::resolved, buffer);
    return std::string(read.text) + (read.certain ? "" : "?");
  };
  EXPECT_EQ(resolved("/a/./b"), "/a/b");
  EXPECT_EQ(resolved("/a/../b"), "/b");
  EXPECT_EQ(resolved("/a/.."), "/");
  EXPECT_EQ(resolved("/a/b/.."), "/a/");
  EXPECT_EQ(resolved("/../../a"), "/a");
  EXPECT_EQ(resolved("/a/."), "/a/");
  EXPECT_EQ(resolved("/."), "/");
  EXPECT_EQ(resolved("/a/b/c/../../g"), "/a/g");
  EXPECT_EQ(resolved("/a/b;c"), "/a/?");
  EXPECT_EQ(resolved("/a/b//.."), "/?");
}

}  // namespace
}  // namespace foreshadow::kinds::http
