// A request's whole time, wherever it is spent.
#include <chrono>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/http_kind.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

constexpr const char* kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

struct RequestTimeout : Rig {
  RequestTimeout() {
    listener().matches[0].options["request_timeout"] = "300ms";
    listener().upstream_timeout = kPatient;
  }
  void stall_a() {
    a.handle([this](const Message&, Stream&) {
      a.stall();
      return Backend::Reply{ok("late")};
    });
  }
};

TEST_F(RequestTimeout, AServiceThatTakesLongerIsGivenUp) {
  stall_a();
  start();
  const auto began = Steady::now();
  EXPECT_EQ(get("/x")->status(), 504);
  EXPECT_LT(Steady::now() - began, kPatient / 2);
  EXPECT_EQ(segment("browse").current.failures.timeout, 1u);
  a.release();
}

TEST_F(RequestTimeout, AHoldIsPartOfIt) {
  start();
  ASSERT_TRUE(hold(1));
  auto client = connect();
  client.send(kGet);
  const auto answer = read_message(client);
  EXPECT_EQ(answer->status(), 503);
  EXPECT_EQ(answer->field("retry-after"), "1");
  EXPECT_NE(answer->body.find("nothing was done"), std::string::npos) << answer->body;
  EXPECT_EQ(report().parked, 0);
  ASSERT_TRUE(release(1));
  client.send(kGet);
  EXPECT_EQ(read_message(client)->body, "a /x") << "the connection goes on";
  EXPECT_EQ(a.count(), 1u);
}

TEST_F(RequestTimeout, AQueueIsPartOfIt) {
  listener().limits.at_once_max = 1;
  listener().limits.queue_timeout = kPatient;
  stall_a();
  start();
  auto orders = connect();
  orders.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(report().instances.at(0).queued, 0);
  a.release();
  EXPECT_EQ(read_message(orders)->body, "late") << "another segment has its own time";
}

// Bytes that trickle in are progress to upstream_timeout, but not to this.
TEST_F(RequestTimeout, AnAnswerThatNeverEndsIsCut) {
  a.handle_connections([](Stream& stream) {
    if (!read_message(stream)) return;
    stream.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (stream.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  start();
  auto client = connect();
  client.send(kGet);
  bool reset = false;
  EXPECT_NE(client.read_all(&reset).find("200 OK"), std::string::npos);
  EXPECT_TRUE(reset) << "what it has is not the whole";
}

TEST_F(RequestTimeout, StreamsOfHttp2AreCutAlike) {
  start();
  ASSERT_TRUE(hold(1));
  H2Client client(connect());
  EXPECT_EQ(client.ask(testing::get("/x")).status, 503);
  ASSERT_TRUE(release(1));
  stall_a();
  EXPECT_EQ(client.ask(testing::get("/x")).status, 504);
  a.release();
}

TEST(RequestTimeoutOption, IsChecked) {
  const auto kind = make_http_kind();
  Resource resource;
  resource.primary.endpoint = {"127.0.0.1", 80};
  EXPECT_TRUE(kind->check(resource, {{"request_timeout", "5s"}}));
  EXPECT_FALSE(kind->check(resource, {{"request_timeout", "0ms"}}));
  EXPECT_TRUE(kind->check_segment_option("request_timeout", "5s"));
  EXPECT_FALSE(kind->check_segment_option("request_timeout", "5"));
}

}  // namespace
}  // namespace foreshadow::kinds::http
