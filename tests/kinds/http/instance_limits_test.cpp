// Busy instances, dead ones and failing ones, as clients of a real gateway feel them.
#include <chrono>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

constexpr const char* kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

struct InstanceLimits : Rig {
  std::vector<Stream> clients;
  std::atomic<int> at_once = 0, most = 0;

  // Counts how many requests it has at once, and answers none before release().
  void stall(Backend& backend) {
    backend.handle([this, &backend](const Message& m, Stream&) {
      const int now = ++at_once;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      backend.stall();
      --at_once;
      return Backend::Reply{ok(backend.name() + " " + m.target())};
    });
  }
  void ask_on_new_connections(int n) {
    for (int i = 0; i < n; ++i) {
      clients.push_back(connect());
      clients.back().send("GET /" + std::to_string(clients.size()) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    }
  }
  InstanceStats at(std::size_t i) const {
    const auto instances = report().instances;
    return i < instances.size() ? instances[i] : InstanceStats{};
  }
};

TEST_F(InstanceLimits, SoManyAtOnceAndTheRestInAQueue) {
  listener().limits.at_once_max = 2;
  listener().limits.queued_max = 6;
  listener().limits.queue_timeout = kPatient;
  stall(a);
  start();
  ask_on_new_connections(8);
  ASSERT_TRUE(eventually([&] { return at(0).busy == 2 && at(0).queued == 6; }));
  const auto refused = get("/x");
  EXPECT_EQ(refused->status(), 503);
  EXPECT_EQ(refused->field("retry-after"), "1");
  EXPECT_NE(refused->body.find("nothing was sent"), std::string::npos) << refused->body;
  a.release();
  for (auto& client : clients) EXPECT_EQ(read_message(client)->status(), 200);
  EXPECT_EQ(most, 2);
  EXPECT_EQ(a.count(), 8u);
  EXPECT_EQ(at(0).waited, 6u);
  const auto browse = segment("browse");
  EXPECT_EQ(browse.refused, 1u);
  EXPECT_EQ(browse.refusals.queue_full, 1u);
}

TEST_F(InstanceLimits, WhoQueuesTooLongIsToldThatNothingWasSent) {
  listener().limits.at_once_max = 1;
  listener().limits.queue_timeout = Millis{100};
  stall(a);
  start();
  ask_on_new_connections(1);
  ASSERT_TRUE(eventually([&] { return at(0).busy == 1; }));
  const auto refused = get("/x");
  EXPECT_EQ(refused->status(), 503);
  EXPECT_NE(refused->body.find("nothing was sent"), std::string::npos) << refused->body;
  EXPECT_EQ(segment("browse").refusals.queued_too_long, 1u);
  a.release();
  EXPECT_EQ(read_message(clients[0])->status(), 200);
  EXPECT_EQ(a.count(), 1u);
}

// A client that leaves while it queues leaves its place, too.
TEST_F(InstanceLimits, StreamsOfHttp2QueueAlike) {
  listener().limits.at_once_max = 1;
  listener().limits.queue_timeout = kPatient;
  stall(a);
  start();
  H2Client client(connect());
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(client.next_stream());
    client.head(streams.back(), testing::get("/" + std::to_string(i)));
  }
  ASSERT_TRUE(eventually([&] { return at(0).queued == 3; }));
  client.send(kRstStream, 0, streams[1], uint32(8));
  ASSERT_TRUE(eventually([&] { return at(0).queued == 2; }));
  a.release();
  for (const int i : {0, 2, 3})
    EXPECT_EQ(client.await(streams[static_cast<std::size_t>(i)]).body, "a /" + std::to_string(i));
  EXPECT_EQ(a.count(), 3u);
  EXPECT_EQ(most, 1);
}

TEST_F(InstanceLimits, AQueueFollowsAHandoverAndDoesNotDelayIt) {
  listener().limits.at_once_max = 1;
  listener().limits.queue_timeout = kPatient;
  stall(a);
  start();
  ask_on_new_connections(5);
  ASSERT_TRUE(eventually([&] { return at(0).queued == 4; }));
  std::thread holder([&] {
    const auto ack = hold(1);
    ASSERT_TRUE(ack) << ack.error().what;
    ASSERT_TRUE(seal(1, *ack));
    apply(handed_over(1));
  });
  ASSERT_TRUE(eventually([&] { return report().parked == 4; }));
  a.release();
  holder.join();
  for (std::size_t i = 0; i < clients.size(); ++i)
    EXPECT_EQ(read_message(clients[i])->body, (i == 0 ? "a /" : "b /") + std::to_string(i + 1));
}

TEST_F(InstanceLimits, ADeadCurrentSideIsNotKnockedAtForEverybody) {
  listener().limits.breaker = {.consecutive = 3, .open = kPatient, .open_max = kPatient};
  start();
  a.kill();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(at(0).circuit, CircuitState::open);
  const auto refused = get("/x");
  EXPECT_EQ(refused->status(), 503);
  EXPECT_EQ(refused->field("retry-after"), "1");
  EXPECT_NE(refused->body.find("left alone"), std::string::npos) << refused->body;
  EXPECT_EQ(segment("browse").refusals.circuit_open, 1u);
  EXPECT_EQ(segment("browse").current.failures.connect, 3u);
  // A handover is not kept from helping.
  const auto ack = hold(1);
  ASSERT_TRUE(ack);
  ASSERT_TRUE(seal(1, *ack));
  apply(handed_over(1));
  EXPECT_EQ(get("/x")->body, "b /x");
}

TEST_F(InstanceLimits, AShadowThatFailsLosesItsShareAndGetsItBack) {
  listener().limits.outlier = {.consecutive = 3, .share = 0, .open = Millis{3000}, .open_max = Millis{3000}};
  std::atomic<bool> well = false;
  b.handle([&](const Message&, Stream&) { return Backend::Reply{status(well ? 200 : 500, "b")}; });
  start();
  apply(split(1.0, 0));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/x")->status(), 500);
  for (int i = 0; i < 5 && at(1).circuit == CircuitState::open; ++i) EXPECT_EQ(get("/x")->body, "a /x");
  EXPECT_EQ(at(0).circuit, CircuitState::closed);
  well = true;
  ASSERT_TRUE(eventually([&] { return get("/x")->body == "b"; }));
  EXPECT_EQ(at(1).circuit, CircuitState::closed);
  EXPECT_EQ(at(1).opened, 1u);
  EXPECT_GE(segment("browse").diverted, 1u);
}

TEST_F(InstanceLimits, MirroringToADeadShadowPausesAndIsCounted) {
  listener().limits.outlier = {.consecutive = 3, .share = 0, .open = kPatient, .open_max = kPatient};
  start();
  apply(split(0, 1.0));
  b.kill();
  auto client = connect();
  const auto ask = [&] {
    client.send(kGet);
    EXPECT_EQ(read_message(client)->status(), 200);
  };
  ASSERT_TRUE(eventually([&] {
    ask();
    return at(1).circuit == CircuitState::open;
  }));
  const auto sent = segment("browse").mirror;
  for (int i = 0; i < 20; ++i) ask();
  const auto now = segment("browse").mirror;
  EXPECT_EQ(now.paused - sent.paused, 20u);
  EXPECT_LE(now.sent, sent.sent + 2) << "what was on its way then";
}

}  // namespace
}  // namespace foreshadow::kinds::http
