// What is sent a second time, and what never is, over the real gateway and real services.
#include <set>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

std::string order(const std::string& fields = "", const std::string& body = "x") {
  return "POST /orders HTTP/1.1\r\nHost: h\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
constexpr auto kKey = "Idempotency-Key: 7f\r\n";

struct Retrying : Rig {
  std::atomic<int> answered_from = 1;  // the first request that is answered; earlier ones are read and then dropped
  Retrying() {
    a.handle([this](const Message&, Stream&) {
      return a.count() < static_cast<std::size_t>(answered_from) ? Backend::Reply{"", true} : Backend::Reply{ok("a")};
    });
  }
  void declare_keys() { listener().matches.at(1).options["idempotency_key"] = "Idempotency-Key"; }
  // The gateway holds from now on, as soon as nothing is in flight.
  std::thread hold_meanwhile(Millis park_max = kPatient) {
    std::thread holder([this, park_max] {
      const auto ack = hold(1, {.lease = kPatient, .budget = kPatient, .park_max = park_max});
      EXPECT_TRUE(ack) << ack.error().what;
      if (ack) held = *ack;
    });
    EXPECT_TRUE(eventually([&] { return report().hold != HoldState::open; }));
    return holder;
  }
  GatewayAck held;
  // One request whose service drops it as soon as the test says so.
  void drop_when_released() {
    a.handle([this](const Message&, Stream&) {
      a.stall();
      return Backend::Reply{"", true};
    });
  }
};

TEST_F(Retrying, AWriteThatWasReadIsAnsweredHonestlyAndDoneOnce) {
  answered_from = 2;
  start();
  const auto answer = ask(order(kKey));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 502);
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(answer->field("retry-after"), "");
  EXPECT_EQ(a.count(), 1u) << "no keys are declared here";
}

TEST_F(Retrying, AWriteWithAKeyIsSentAgainWithTheSameKey) {
  declare_keys();
  answered_from = 2;
  start();
  const auto answer = ask(order(kKey, "hello"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 200);
  ASSERT_EQ(a.count(), 2u);
  for (const auto& seen : a.requests()) {
    EXPECT_EQ(seen.field("idempotency-key"), "7f");
    EXPECT_EQ(seen.body, "hello");
  }
  const auto stats = segment("orders").current;
  EXPECT_EQ(stats.requests, 2u);
  EXPECT_EQ(stats.errors, 1u) << "the first one failed, whatever became of it";
}

TEST_F(Retrying, ButOnlyOnceAndOnlyWithAKey) {
  declare_keys();
  answered_from = 1000;
  start();
  const auto answer = ask(order(kKey));
  EXPECT_EQ(answer->status(), 502);
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(a.count(), 2u);
  EXPECT_EQ(ask(order())->status(), 502);
  EXPECT_EQ(a.count(), 3u);
  EXPECT_EQ(ask(order(std::string(kKey) + kKey))->status(), 502);
  EXPECT_EQ(a.count(), 4u);
}

TEST_F(Retrying, AnAnswerThatHasBegunIsNotAskedForAgain) {
  declare_keys();
  a.handle([](const Message&, Stream&) { return Backend::Reply{"HTTP/1.1 200 OK\r\nX: y", true}; });
  start();
  const auto answer = ask(order(kKey));
  EXPECT_EQ(answer->status(), 502);
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(a.count(), 1u);
}

TEST_F(Retrying, ASecondAttemptThatFindsNobodyDoesNotDenyTheFirst) {
  declare_keys();
  a.handle([this](const Message&, Stream&) {
    a.kill();
    return Backend::Reply{"", true};
  });
  start();
  const auto answer = ask(order(kKey));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 502) << "503 would say that nothing was done";
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(a.count(), 1u);
}

TEST_F(Retrying, AKeyedWriteThatFailsInAHoldGoesToWhoeverIsCurrentThen) {
  declare_keys();
  drop_when_released();
  start();
  auto client = connect();
  ASSERT_TRUE(client.send(order(kKey)));
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  auto holder = hold_meanwhile();
  a.release();
  holder.join();
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  EXPECT_EQ(report().in_flight, 0) << "it does not keep the old side from being closed";
  ASSERT_TRUE(seal(1, held));
  apply(handed_over(1));
  const auto answer = read_message(client);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "b /orders");
  EXPECT_EQ(a.count(), 1u);
  ASSERT_EQ(b.count(), 1u);
  EXPECT_EQ(b.requests().at(0).field("idempotency-key"), "7f");
}

TEST_F(Retrying, ParkedTooLongItDoesNotClaimThatNothingWasDone) {
  declare_keys();
  drop_when_released();
  start();
  auto client = connect();
  ASSERT_TRUE(client.send(order(kKey)));
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  auto holder = hold_meanwhile(Millis{50});
  a.release();
  holder.join();
  const auto answer = read_message(client);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 502);
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(segment("orders").refused, 0u);
  ASSERT_TRUE(release(1));
}

TEST_F(Retrying, AWriteWithoutAKeyThatFailsInAHoldIsNotSentAgain) {
  drop_when_released();
  start();
  auto client = connect();
  ASSERT_TRUE(client.send(order()));
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  auto holder = hold_meanwhile();
  a.release();
  holder.join();
  EXPECT_EQ(read_message(client)->status(), 502);
  apply(handed_over(1));
  EXPECT_EQ(b.count(), 0u);
}

TEST_F(Retrying, AReadThatFailsInAHoldGoesToWhoeverIsCurrentThen) {
  drop_when_released();
  start();
  auto client = connect();
  ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  auto holder = hold_meanwhile();
  a.release();
  holder.join();
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  apply(handed_over(1));
  EXPECT_EQ(read_message(client)->body, "b /x");
}

TEST_F(Retrying, OverHttp2Too) {
  declare_keys();
  answered_from = 2;
  start();
  H2Client c(connect());
  const auto answer = c.ask(post("/orders", {{"idempotency-key", "7f"}}), "hello");
  EXPECT_EQ(answer.status, 200);
  ASSERT_EQ(a.count(), 2u);
  EXPECT_EQ(a.requests().at(1).field("idempotency-key"), "7f");
  EXPECT_EQ(a.requests().at(1).body, "hello");
  answered_from = 4;
  EXPECT_EQ(c.ask(post("/orders"), "hello").status, 502);
  EXPECT_EQ(a.count(), 3u);
}

TEST_F(Retrying, OverHttp2InAHoldToo) {
  declare_keys();
  drop_when_released();
  start();
  H2Client c(connect());
  const auto stream = c.next_stream();
  c.head(stream, post("/orders", {{"idempotency-key", "7f"}}), false);
  c.body(stream, "hello");
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  auto holder = hold_meanwhile();
  a.release();
  holder.join();
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  apply(handed_over(1));
  EXPECT_EQ(c.await(stream).body, "b /orders");
  EXPECT_EQ(b.requests().at(0).body, "hello");
}

// A service that ends each connection right behind its answer, without saying so: sometimes before the gateway sends
// the next request over it, sometimes after.
TEST_F(Retrying, NoWriteIsDoubledByAConnectionThatEndsAsItIsUsed) {
  std::mutex mutex;
  std::multiset<std::string> done;
  a.handle([&](const Message& m, Stream&) {
    const std::lock_guard lock(mutex);
    done.insert(m.body);
    return Backend::Reply{ok("done"), true};
  });
  start();
  auto client = connect();
  int told_done = 0, told_nothing = 0, told_unknown = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(client.send(order("", std::to_string(i))));
    const auto answer = read_message(client);
    ASSERT_TRUE(answer) << i;
    const std::lock_guard lock(mutex);
    const auto times = done.count(std::to_string(i));
    ASSERT_LE(times, 1u) << "doubled";
    switch (answer->status()) {
      case 200:
        ++told_done;
        ASSERT_EQ(times, 1u);
        break;
      case 503:
        ++told_nothing;
        ASSERT_EQ(times, 0u) << "it was told that nothing was done";
        break;
      default:
        ++told_unknown;
        ASSERT_EQ(answer->status(), 502);
        ASSERT_NE(answer->body.find("not known"), std::string::npos);
    }
  }
  EXPECT_GT(told_done, 0) << told_nothing << ' ' << told_unknown;
}

}  // namespace
}  // namespace foreshadow::kinds::http
