#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/http_kind.hpp"
#include "kinds/http/options.hpp"
#include "kinds/http/rig.hpp"
#include "kinds/http/wire/access_line.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using nlohmann::json;

struct AccessLogTest : Rig {
  AccessLogTest() { listener().options["access_log"] = path(); }
  std::string path() const { return dir / "access.log"; }
  std::vector<json> lines() const {
    std::vector<json> all;
    std::ifstream in(path());
    // The writer may be in the middle of the last one.
    for (std::string line; std::getline(in, line) && !in.eof();) all.push_back(json::parse(line));
    return all;
  }
  // The n-th line, once it is there.
  json line(std::size_t n = 0) const {
    EXPECT_TRUE(eventually([&] { return lines().size() > n; }));
    const auto all = lines();
    return n < all.size() ? all[n] : json::object();
  }
};

TEST_F(AccessLogTest, TellsOfARequestWhatClientsFelt) {
  start();
  apply(split(0, 0));
  ask("POST /orders?card=4711 HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer secret\r\nCookie: s=secret\r\n"
      "X-Request-Id: r-1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  const auto l = line();
  EXPECT_TRUE(std::regex_match(l["time"].get<std::string>(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_EQ(l["resource"], "shop");
  EXPECT_EQ(l["segment"], "orders");
  EXPECT_EQ(l["side"], "current");
  EXPECT_EQ(l["instance"], "a");
  EXPECT_EQ(l["client"], "127.0.0.1");
  EXPECT_EQ(l["tls"], false);
  EXPECT_EQ(l["version"], "1.1");
  EXPECT_EQ(l["method"], "POST");
  EXPECT_EQ(l["target"], "/orders?");
  EXPECT_EQ(l["status"], 200);
  EXPECT_EQ(l["bytes_in"], 5);
  EXPECT_EQ(l["bytes_out"], std::string("a /orders?card=4711").size());
  EXPECT_GT(l["first_byte_us"], 0);
  EXPECT_GE(l["total_us"], l["first_byte_us"]);
  EXPECT_EQ(l["wait_us"], 0);
  EXPECT_EQ(l["mirrored"], false);
  EXPECT_EQ(l["retried"], false);
  EXPECT_EQ(l["insured"], false);
  EXPECT_TRUE(l["error"].is_null());
  EXPECT_EQ(l["request_id"], "r-1");
  EXPECT_TRUE(l["trace_id"].is_null());
  EXPECT_TRUE(l["span_id"].is_null());
  EXPECT_EQ(l.dump().find("secret"), std::string::npos);
  EXPECT_EQ(l.dump().find("4711"), std::string::npos);
}

TEST_F(AccessLogTest, KeepsQueriesWhereAskedToAndEscapesThem) {
  listener().options["access_log_query"] = "keep";
  start();
  ask("GET /x?q=\"a\\b HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
  ask("GET /" + std::string(3000, 'y') + " HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(line(0)["target"], "/x?q=\"a\\b");
  EXPECT_EQ(line(1)["target"], "/" + std::string(1023, 'y') + "...");
}

TEST_F(AccessLogTest, TellsOfHttp2AndOfMirroring) {
  start();
  apply(split(0, 1));
  H2Client client(connect());
  EXPECT_EQ(client.ask(testing::get("/x")).status, 200);
  const auto l = line();
  EXPECT_EQ(l["version"], "2.0");
  EXPECT_EQ(l["mirrored"], true);
  EXPECT_EQ(l["target"], "/x");
  EXPECT_EQ(l["bytes_out"], 4);
}

TEST_F(AccessLogTest, TellsWhichTraceAndWhichSpan) {
  start();
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  ask("GET /x HTTP/1.1\r\nHost: shop\r\ntraceparent: 00-" + trace +
      "-b7ad6b7169203331-01\r\nConnection: close\r\n\r\n");
  const auto l = line();
  EXPECT_EQ(l["trace_id"], trace);
  EXPECT_EQ(a.requests().at(0).field("traceparent"), "00-" + trace + "-" + l["span_id"].get<std::string>() + "-01");
}

TEST_F(AccessLogTest, TellsHowRequestsFailed) {
  start();
  a.handle([](const Message& m, Stream&) {
    if (m.target() == "/reset") return Backend::Reply{"", true};
    if (m.target() == "/junk") return Backend::Reply{"junk\r\n\r\n", true};
    if (m.target() == "/cut") return Backend::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", true};
    return Backend::Reply{status(503)};
  });
  EXPECT_EQ(ask("GET /own HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 503);
  EXPECT_EQ(ask("GET /junk HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 502);
  EXPECT_EQ(ask("GET /reset HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 502);
  ask("GET /cut HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(ask("GET /bad HTTP/1.1\r\nHost : h\r\n\r\n")->status(), 400);
  EXPECT_EQ(line(0)["error"], "status_5xx");
  EXPECT_EQ(line(1)["error"], "protocol");
  EXPECT_EQ(line(2)["error"], "reset");
  EXPECT_EQ(line(2)["status"], 502);
  EXPECT_TRUE(line(2)["first_byte_us"].is_null());
  EXPECT_EQ(line(3)["error"], "reset");
  EXPECT_EQ(line(3)["status"], 200);
  EXPECT_EQ(line(4)["error"], "bad_request");
  EXPECT_EQ(line(4)["status"], 400);
  EXPECT_TRUE(line(4)["segment"].is_null());
  EXPECT_TRUE(line(4)["side"].is_null());
  const auto stats = segment("browse").current;
  EXPECT_EQ(stats.failures, (Failures{.reset = 2, .protocol = 1, .status_5xx = 1}));
  EXPECT_EQ(stats.errors, 4u);
  a.kill();
  EXPECT_EQ(ask("GET /gone HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 503);
  EXPECT_EQ(line(5)["error"], "connect");
  EXPECT_EQ(segment("browse").current.failures.connect, 1u);
}

TEST_F(AccessLogTest, TellsOfTimeoutsAndOfClientsThatLeft) {
  listener().upstream_timeout = Millis{100};
  start();
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("late")};
  });
  EXPECT_EQ(ask("GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 504);
  EXPECT_EQ(line(0)["error"], "timeout");
  {
    auto client = connect();
    client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nbegun");
    client.reset();
  }
  const auto l = line(1);
  EXPECT_EQ(l["error"], "client_gone");
  EXPECT_TRUE(l["status"].is_null());
  EXPECT_EQ(l["method"], "POST");
  EXPECT_EQ(segment("browse").current.failures.timeout, 1u);
  a.release();
}

TEST_F(AccessLogTest, TellsHowLongAHandoverHeldARequest) {
  start();
  apply(split(0, 0));
  ASSERT_TRUE(hold(1));
  auto client = connect();
  client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  const auto since = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() - since > Millis{20}; }));
  apply(handed_over(1));
  EXPECT_EQ(read_message(client)->status(), 200);
  const auto l = line();
  EXPECT_GE(l["wait_us"], 20'000);
  EXPECT_GE(l["total_us"], l["wait_us"]);
  EXPECT_EQ(l["instance"], "b");
}

TEST_F(AccessLogTest, CountsWhatTheGateRefuses) {
  start();
  apply(split(0, 0));
  ASSERT_TRUE(hold(1, {.lease = kPatient, .budget = kPatient, .park_max = Millis{30}}));
  EXPECT_EQ(ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 503);
  EXPECT_EQ(line()["error"], "refused");
  EXPECT_TRUE(line()["side"].is_null());
  EXPECT_EQ(segment("browse").refused, 1u);
  EXPECT_EQ(segment("browse").current.requests, 0u);
}

TEST_F(AccessLogTest, TakesASample) {
  listener().options["access_log_sample"] = "0.1";
  start();
  auto client = connect();
  for (int i = 0; i < 400; ++i) {
    client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(read_message(client));
  }
  gateway.reset();
  // 40 expected; outside these bounds less often than once in a million runs.
  EXPECT_GT(lines().size(), 10u);
  EXPECT_LT(lines().size(), 80u);
}

TEST_F(AccessLogTest, FollowsARotation) {
  start();
  ASSERT_TRUE(get("/one"));
  line();
  std::filesystem::rename(path(), path() + ".1");
  ASSERT_TRUE(get("/two"));
  EXPECT_EQ(line()["target"], "/two");
  EXPECT_EQ(report().log_lines_dropped, 0u);
}

TEST(AccessLogOptions, AreCheckedAndNamed) {
  const auto kind = make_http_kind();
  for (const auto& [name, value] : Options{{"access_log", ""},
                                           {"access_log_query", "yes"},
                                           {"request_id", "yes"},
                                           {"trace", "yes"},
                                           {"access_log_sample", "0"}}) {
    Options options{{"access_log", "x.log"}};
    options[name] = value;
    const auto parsed = parse_options(options);
    ASSERT_FALSE(parsed) << name;
    EXPECT_NE(parsed.error().what.find("option " + name + ":"), std::string::npos) << parsed.error().what;
  }
  EXPECT_FALSE(parse_options({{"access_log_sample", "0.5"}}));
  const auto folder = kind->check_files({{"access_log", "/no/such/folder/access.log"}});
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().what.find("/no/such/folder"), std::string::npos);
}

TEST(AccessLine, CannotBeForgedByWhatClientsSay) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  std::string out;
  append_access_line(out, {.at_ms = 1, .resource = "r", .client = "c", .method = all, .target = "/?" + all});
  EXPECT_EQ(out.find('\n'), std::string::npos);
  for (const char c : out) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  const auto parsed = json::parse(out);
  EXPECT_EQ(parsed["time"], "1970-01-01T00:00:00.001Z");
  // Each byte is the code point of its own value.
  EXPECT_EQ(parsed["target"].get<std::string>().substr(0, 2 + 128), "/?" + all.substr(0, 128));
}

}  // namespace
}  // namespace foreshadow::kinds::http
