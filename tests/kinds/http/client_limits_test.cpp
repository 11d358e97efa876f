// Clients that take too much keep nobody out but themselves.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>

#include "kinds/http/client_limits.hpp"
#include "kinds/http/h2/client.hpp"
#include "kinds/http/http_kind.hpp"
#include "kinds/http/rig.hpp"
#include "kinds/http/session/body_pace.hpp"
#include "kinds/http/session/client_quota.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

constexpr const char* kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

struct ClientLimitsTest : Rig {
  Stream connect_from(const char* address) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    ::inet_pton(AF_INET, address, &from.sin_addr);
    ::inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    to.sin_port = htons(port);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 ||
        ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error("no connection");
    return Stream(fd);
  }
};

TEST_F(ClientLimitsTest, AnAddressKeepsOnlyItselfOut) {
  listener().options["client_connections_max"] = "20";
  listener().connections_max = 30;
  // On a machine that hardly has time for us, either, nobody is to end for being slow.
  listener().header_timeout = listener().idle_timeout = kPatient * 60;
  start();
  std::vector<Stream> attackers;
  for (int i = 0; i < 20; ++i) {
    attackers.push_back(connect_from("127.0.0.2"));
    // Half of them never finish a head, the others have been served and idle.
    attackers.back().send(i % 2 ? kGet : "GET /x HTTP/1.1\r\nHos");
    if (i % 2) ASSERT_EQ(read_message(attackers.back())->status(), 200);
  }
  ASSERT_TRUE(eventually([&] { return report().sessions == 20; }));
  for (int i = 0; i < 50; ++i) {
    auto more = connect_from("127.0.0.2");
    EXPECT_TRUE(more.ended());
  }
  auto normal = connect_from("127.0.0.3");
  const auto began = Steady::now();
  normal.send(kGet);
  EXPECT_EQ(read_message(normal)->status(), 200);
  EXPECT_LT(Steady::now() - began, kPatient);
  attackers.pop_back();
  ASSERT_TRUE(eventually([&] {
    auto again = connect_from("127.0.0.2");
    again.send(kGet);
    const auto answer = read_message(again);
    return answer && answer->status() == 200;
  })) << "a place that was given up can be had again";
}

TEST_F(ClientLimitsTest, WhomAProxyHeaderNamesIsTheClient) {
  listener().options["client_connections_max"] = "2";
  listener().proxy_protocol = true;
  start();
  const auto from = [&](char last) {
    auto stream = connect();
    stream.send(std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16) + std::string("\xc0\x00\x02", 3) + last +
                std::string("\xc6\x33\x64\x01\xc3\x50\x01\xbb", 8) + kGet);
    return stream;
  };
  auto one = from(7), two = from(7);
  ASSERT_EQ(read_message(one)->status(), 200);
  ASSERT_EQ(read_message(two)->status(), 200);
  auto three = from(7);
  EXPECT_FALSE(read_message(three));
  auto other = from(8);
  EXPECT_EQ(read_message(other)->status(), 200);
}

TEST_F(ClientLimitsTest, AConnectionEndsAfterItsLastRequest) {
  listener().options["client_requests_max"] = "3";
  start();
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    client.send(kGet);
    const auto answer = read_message(client);
    EXPECT_EQ(answer->field("connection"), i == 2 ? "close" : "") << i;
  }
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(a.count(), 3u);
}

TEST_F(ClientLimitsTest, AnHttp2ConnectionIsSentAwayAfterItsLastRequest) {
  listener().options["client_requests_max"] = "3";
  start();
  H2Client client(connect());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.ask(testing::get("/x")).status, 200);
  const auto last = client.next_stream();
  client.head(last, testing::get("/x"));
  const auto goaway = client.await_goaway();
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->code(), 0u);
  EXPECT_EQ(goaway->last_stream(), last);
  EXPECT_EQ(client.await(last).status, 200);
}

// A client that trickles has no instance's connection for long.
TEST_F(ClientLimitsTest, ASlowHeadEndsAtItsTimeAndKeepsNobody) {
  listener().header_timeout = Millis{300};
  start();
  std::vector<Stream> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(connect());
    slow.back().send("GET / HTTP/1.1\r\nX-A: ");
  }
  EXPECT_EQ(get("/x")->status(), 200);
  for (auto& stream : slow) {
    stream.send("b");
    EXPECT_NE(stream.read_all().find(" 408 "), std::string::npos);
  }
  EXPECT_EQ(a.count(), 1u);
}

TEST(BodyPace, WaitsAsLongAsWhatCameHasEarned) {
  using std::chrono::seconds;
  const Steady::time_point t0{std::chrono::hours{1}};
  BodyPace pace(100, Millis{60'000});
  EXPECT_EQ(pace.begin(0, t0), BodyPace::kGrace);
  pace.end(t0 + seconds{4});
  EXPECT_EQ(pace.begin(0, t0 + seconds{100}), Millis{6000}) << "only waiting for the client counts";
  pace.end(t0 + seconds{106});
  EXPECT_EQ(pace.begin(1000, t0 + seconds{106}), Millis{10'000}) << "a thousand bytes are ten seconds' worth";
  pace.end(t0 + seconds{136});
  EXPECT_EQ(pace.begin(1000, t0 + seconds{136}), Millis{1}) << "its time is up";
  EXPECT_EQ(pace.begin(100'000'000, t0), Millis{60'000}) << "nobody may be silent for longer than that";
  EXPECT_EQ(pace.begin(~0ULL, t0), Millis{60'000});
  BodyPace any(0, Millis{60'000});
  any.begin(0, t0);
  any.end(t0 + seconds{100'000});
  EXPECT_EQ(any.begin(0, t0), Millis{60'000});
}

TEST(ClientQuota, CountsNetworksOfIPv6AndLetsGo) {
  const auto quota = std::make_shared<ClientQuota>(2, "shop");
  ClientQuota::Place one, two, three, other, mapped, gone;
  EXPECT_TRUE(quota->take("2001:db8:1:2::1", one));
  EXPECT_TRUE(quota->take("2001:db8:1:2:ffff::9", two));
  EXPECT_FALSE(quota->take("2001:db8:1:2::7", three));
  EXPECT_TRUE(quota->take("2001:db8:1:3::7", other));
  two = {};
  EXPECT_TRUE(quota->take("2001:db8:1:2::7", three));
  two = std::move(three);
  EXPECT_FALSE(quota->take("2001:db8:1:2::8", three)) << "a place that was moved is still taken";
  ClientQuota::Place v4;
  EXPECT_TRUE(quota->take("192.0.2.1", v4));
  EXPECT_TRUE(quota->take("::ffff:192.0.2.1", mapped));
  ClientQuota::Place more;
  EXPECT_FALSE(quota->take("192.0.2.1", more)) << "the same client, however its socket writes it";
  EXPECT_TRUE(quota->take("", gone));
}

TEST(ClientLimitOptions, AreChecked) {
  const auto kind = make_http_kind();
  Resource resource;
  resource.primary.endpoint = {"127.0.0.1", 80};
  EXPECT_TRUE(kind->check(
      resource, {{"client_connections_max", "100"}, {"client_requests_max", "0"}, {"body_rate_min", "1KiB"}}));
  for (const auto& [name, value] :
       Options{{"client_connections_max", "-1"}, {"client_requests_max", "many"}, {"body_rate_min", "fast"}}) {
    const auto refused = kind->check(resource, {{name, value}});
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().what.find(name), std::string::npos);
  }
}

}  // namespace
}  // namespace foreshadow::kinds::http
