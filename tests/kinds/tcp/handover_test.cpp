// Split, hold and drain of connections that may live for ever; and the kind's own promises.
#include <sys/socket.h>

#include <cmath>
#include <map>

#include "kinds/tcp/rig.hpp"
#include "kinds/tcp/tcp_kind.hpp"

namespace foreshadow::kinds::tcp {
namespace {

using namespace testing;
using Ended = Stream::Ended;

struct Handover : Rig {
  // A connection whose client waits for an answer that does not come before release().
  Stream busy(Backend& at) {
    at.handle([&at](Stream& stream) {
      stream.send(at.name());
      if (stream.read_exactly(1) != "?") return;
      at.stall();
      stream.send("!");
      echo(stream);
    });
    auto [client, name] = greeted();
    client.send("?");
    EXPECT_TRUE(eventually([&] { return at.open() >= 1; }));
    return std::move(client);
  }
};

TEST_F(Handover, SplitsConnectionsByWeight) {
  start();
  apply(split(0.5));
  int other = 0;
  constexpr int n = 400;
  for (int i = 0; i < n; ++i) other += greeted().second == "b";
  EXPECT_NEAR(other, n * 0.5, 5 * std::sqrt(n * 0.25));
  EXPECT_EQ(report().segments[0].other.requests, static_cast<std::uint64_t>(other));
}

TEST_F(Handover, KeepsAllOfOneAddressTogetherIfAsked) {
  listener().options["sticky"] = "client";
  start();
  std::map<std::string, std::string> before;
  int moved = 0;
  for (const double weight : {0.0, 0.3, 0.6, 1.0}) {
    apply(split(weight));
    int other = 0;
    for (int host = 1; host <= 40; ++host) {
      const auto address = "127.0.0." + std::to_string(host + 1);
      std::string sides;
      for (int i = 0; i < 3; ++i) {
        auto client = Stream::connect(port, address);
        ASSERT_TRUE(client);
        sides += client->read_exactly(1).value_or("-");
      }
      EXPECT_TRUE(sides == "aaa" || sides == "bbb") << sides;
      EXPECT_FALSE(before[address] == "bbb" && sides == "aaa") << "once moved, moved";
      before[address] = sides;
      other += sides == "bbb";
    }
    EXPECT_GE(other, moved);
    moved = other;
  }
  EXPECT_EQ(moved, 40);
}

TEST_F(Handover, ParksNewConnectionsAndGivesThemToTheNewSideInOrder) {
  start();
  std::vector<std::string> order;
  // One at a time, so that it serves in the order in which it was connected to.
  Backend next(
      "b",
      [&](Stream& stream) {
        order.push_back(stream.read_exactly(2).value_or("--"));
        stream.send("b");
      },
      1);
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  std::vector<Stream> clients;
  std::vector<std::string> came;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(connect());
    came.push_back(std::to_string(10 + i));
    clients.back().send(came.back());
    ASSERT_TRUE(eventually([&] { return report().parked == i + 1; }));
  }
  ASSERT_TRUE(seal(1, *ack));
  EXPECT_EQ(report().parked, 30);
  EXPECT_EQ(a.accepted() + next.accepted(), 0u);
  auto table = handed_over(1);
  table.current = instance(next);
  apply(table);
  for (auto& client : clients) EXPECT_EQ(client.read_exactly(1), "b");
  EXPECT_EQ(a.accepted(), 0u);
  EXPECT_EQ(order, came);
}

TEST_F(Handover, WhatWaitsTooLongIsResetAndNothingWasSent) {
  start();
  const auto ack = hold(1, {.lease = kPatient, .budget = kPatient, .park_max = Millis{150}});
  ASSERT_TRUE(ack);
  ASSERT_TRUE(seal(1, *ack));
  auto client = connect();
  client.send("hello");
  EXPECT_EQ(client.read_to_end(), Ended::by_reset);
  EXPECT_EQ(a.accepted() + b.accepted(), 0u);
}

TEST_F(Handover, TooManyParkedAreResetAtOnce) {
  listener().parked_max = 2;
  start();
  ASSERT_TRUE(hold(1));
  auto one = connect(), two = connect();
  ASSERT_TRUE(eventually([&] { return report().parked == 2; }));
  EXPECT_EQ(connect().read_to_end(), Ended::by_reset);
  ASSERT_TRUE(release(1));
  EXPECT_EQ(one.read_exactly(1), "a");
  EXPECT_EQ(two.read_exactly(1), "a");
}

TEST_F(Handover, AParkedClientThatLeavesCostsTheInstanceNothing) {
  start();
  ASSERT_TRUE(hold(1));
  auto gone = connect();
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  gone.reset();
  auto stays = connect();
  ASSERT_TRUE(eventually([&] { return report().parked == 2; }));
  ASSERT_TRUE(release(1));
  EXPECT_EQ(stays.read_exactly(1), "a");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  EXPECT_EQ(a.accepted(), 1u);
}

TEST_F(Handover, ADrainWaitsForTheLastConnection) {
  start();
  auto client = greeted().first;
  std::atomic<bool> held = false;
  std::jthread holder([&] {
    EXPECT_TRUE(hold(1));
    held = true;
  });
  ASSERT_TRUE(eventually([&] { return report().hold == HoldState::holding; }));
  client.send("still served");
  EXPECT_EQ(client.read_exactly(12), "still served");
  EXPECT_FALSE(held);
  client.end_sending();
  holder.join();
  EXPECT_TRUE(held);
}

TEST_F(Handover, WhoeverStaysBreaksTheHoldAndKeepsTheConnection) {
  start();
  auto client = greeted().first;
  const auto refused = hold(1, {.lease = kPatient, .budget = Millis{300}, .park_max = kPatient});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::timeout);
  client.send("hello");
  EXPECT_EQ(client.read_exactly(5), "hello") << "the policy is to wait: nothing is closed";
}

TEST_F(Handover, ClosesThoseAtRestAndWaitsForTheBusyOnes) {
  listener().options["on_hold"] = "close";
  start();
  auto resting = greeted().first;
  auto waiting = busy(a);
  std::jthread holder([&] {
    const auto ack = hold(1);
    ASSERT_TRUE(ack) << ack.error().what;
    EXPECT_EQ(report().in_flight, 0);
    ASSERT_TRUE(seal(1, *ack));
    apply(handed_over(1));
  });
  EXPECT_EQ(resting.read_to_end(), Ended::orderly);
  EXPECT_EQ(report().hold, HoldState::holding);
  a.release();
  EXPECT_EQ(waiting.read_exactly(1), "!") << "it got its answer first";
  EXPECT_EQ(waiting.read_to_end(), Ended::orderly);
  holder.join();
  EXPECT_EQ(greeted().second, "b");
  EXPECT_EQ(report().segments[0].current.errors + report().segments[0].other.errors, 0u);
}

TEST_F(Handover, ABusyOneThatStaysBreaksTheHoldAlsoThen) {
  listener().options["on_hold"] = "close";
  start();
  auto waiting = busy(a);
  const auto refused = hold(1, {.lease = kPatient, .budget = Millis{400}, .park_max = kPatient});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::timeout);
  a.release();
  EXPECT_EQ(waiting.read_exactly(1), "!");
}

TEST_F(Handover, ClosesOneWayStreamsOnlyIfToldSo) {
  for (const auto* policy : {"close", "close_silent"}) {
    gateway.reset();
    listener().options["on_hold"] = policy;
    start();
    a.handle([](Stream& stream) { stream.read_to_end(); });
    auto log = connect();
    log.send("a line of a log\n");
    ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
    const auto held = hold(1, {.lease = kPatient, .budget = Millis{1000}, .park_max = kPatient});
    EXPECT_EQ(held.has_value(), std::string(policy) == "close_silent");
    static_cast<void>(release(1));
  }
}

TEST_F(Handover, StraysAreShownAndRefuseAHold) {
  start();
  apply(split(1));
  auto [client, name] = greeted();
  ASSERT_EQ(name, "b");
  EXPECT_TRUE(report().unmovable.empty());
  apply(split(0));
  ASSERT_TRUE(eventually([&] { return !report().unmovable.empty(); }));
  const auto shown = report().unmovable.front();
  EXPECT_EQ(shown.sessions, 1);
  EXPECT_NE(shown.reason.find("connected to b"), std::string::npos) << shown.reason;
  const auto refused = hold(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  // No longer a stray once its instance gets new work again.
  apply(split(0.1));
  EXPECT_TRUE(eventually([&] { return report().unmovable.empty(); }));
  apply(split(0, false));
  EXPECT_TRUE(eventually([&] { return !report().unmovable.empty(); }));
  client.end_sending();
  EXPECT_TRUE(eventually([&] { return report().unmovable.empty(); }));
}

TEST_F(Handover, StraysGoWhenAtRestWhereThePolicyCloses) {
  listener().options["on_hold"] = "close";
  start();
  apply(split(1));
  auto [client, name] = greeted();
  ASSERT_EQ(name, "b");
  apply(split(0));
  EXPECT_EQ(client.read_to_end(), Ended::orderly);
  EXPECT_EQ(greeted().second, "a");
  EXPECT_TRUE(eventually([&] { return report().unmovable.empty(); }));
}

// Pools of clients that keep their connections, and come again when one is closed.
TEST_F(Handover, ManyInARowFailNoExchange) {
  listener().options["on_hold"] = "close";
  listener().options["quiet_after"] = "20ms";
  start();
  std::atomic<bool> stop = false;
  std::atomic<int> done = 0, failed = 0, closed = 0;
  std::vector<std::jthread> clients;
  for (int c = 0; c < 8; ++c)
    clients.emplace_back([&] {
      std::optional<Stream> pooled(greeted().first);
      while (!stop) {
        const bool sent = pooled->send("ping");
        const auto answer = sent ? pooled->read_exactly(4) : std::nullopt;
        if (answer) {
          ++done;
          failed += *answer != "ping";
          std::this_thread::sleep_for(Millis{50});
          // As a pool does: looks whether the connection is still there before it is used again.
          char byte = 0;
          if (recv(pooled->fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0) continue;
        } else {
          ++failed;
        }
        ++closed;
        pooled.emplace(greeted().first);
      }
    });
  // Also where a check below gives up: they are joined after this.
  const std::unique_ptr<std::atomic<bool>, void (*)(std::atomic<bool>*)> end(&stop, [](auto* flag) { *flag = true; });
  for (std::uint64_t epoch = 1; epoch <= 6; ++epoch) {
    const int before = done;
    ASSERT_TRUE(eventually([&] { return done > before + 20; }));
    const auto ack = hold(epoch);
    ASSERT_TRUE(ack) << ack.error().what;
    ASSERT_TRUE(seal(epoch, *ack));
    apply(handed_over(epoch));
    auto& next = epoch % 2 ? b : a;
    ASSERT_TRUE(eventually([&] { return next.open() >= 8; }));
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_GE(closed, 6 * 8);
  // A close may cross a question on its way: that one was never sent on, and its client sees a reset.
  EXPECT_LE(failed, done / 50);
}

TEST(TcpKind, ChecksItsOptions) {
  const auto kind = make_tcp_kind();
  Resource resource;
  resource.primary.endpoint = {"127.0.0.1", 80};
  resource.segments = {{.id = "all", .writes = true}};
  EXPECT_TRUE(kind->check(resource, {}));
  EXPECT_TRUE(kind->check(resource, {{"on_hold", "close"}, {"probe_send", "PING\r\n"}, {"probe_expect", "+PONG"}}));
  for (const auto& [name, value] : Options{{"on_hold", "kill"},
                                           {"quiet_after", "5"},
                                           {"sticky", "yes"},
                                           {"connect_timeout", "0ms"},
                                           {"held_max", "1KiB"},
                                           {"probe_send", "PING"},
                                           {"probe_expect", std::string(2000, 'x')},
                                           {"probe_timeout", "soon"},
                                           {"probe_interval", "1h"},
                                           {"probe_successes", "0"},
                                           {"colour", "blue"}}) {
    const auto refused = kind->check(resource, {{name, value}});
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().what.find(name), std::string::npos) << refused.error().what;
  }
  for (const auto& option : kind->options()) EXPECT_FALSE(option.help.empty()) << option.name;
  resource.segments = {{.id = "all"}};
  ASSERT_FALSE(kind->check(resource, {}));
  resource.segments = {{.id = "all", .writes = true, .honours_mirror_mark = true}};
  EXPECT_FALSE(kind->check(resource, {}));
  resource.segments = {};
  resource.primary.endpoint = {"/run", 80};
  EXPECT_FALSE(kind->check(resource, {}));
}

TEST(TcpKind, AShadowIsReadyAfterGoodConnectsInARow) {
  Backend shadow("s");
  const auto kind = make_tcp_kind();
  const Options options{{"probe_interval", "5ms"}, {"probe_successes", "4"}};
  const auto at = Rig::instance(shadow);
  const auto ready = kind->replicator(options)->follow(at, at, kPatient, {}, {});
  ASSERT_TRUE(ready) << ready.error().what;
  EXPECT_TRUE(eventually([&] { return shadow.accepted() >= 4; }));
  EXPECT_TRUE(kind->promoter(options)->prove_equal({}, at, at, {}));
  EXPECT_EQ(kind->promoter(options)->writable(at, {}), true);
  shadow.kill();
  ASSERT_TRUE(eventually([&] { return !Stream::connect(shadow.port()); }));
  const auto late = kind->replicator(options)->follow(at, at, Millis{100}, {}, {});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::timeout);
  EXPECT_FALSE(kind->promoter(options)->prove_equal({}, at, at, {}));
  EXPECT_EQ(kind->promoter(options)->writable(at, {}), false);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(kind->replicator(options)->follow(at, at, kPatient, {}, stop.get_token()).error().code, Code::cancelled);
}

// The kernel takes connections for a process that hangs; only an answer proves it well.
TEST(TcpKind, AProbeCanAskForAnAnswer) {
  Backend shadow("pong", [](Stream& stream) { stream.send(stream.read_exactly(4) == "PING" ? "+PONG\r\n" : "?"); });
  const auto kind = make_tcp_kind();
  Options options{{"probe_send", "PING"}, {"probe_expect", "+PONG"}, {"probe_timeout", "200ms"}};
  const auto at = Rig::instance(shadow);
  const auto up = [&] {
    const auto readings = kind->sources(at, options).front()->scrape({});
    return readings && !readings->empty() && readings->front().signal == "probe_up" && readings->front().value == 1.0;
  };
  EXPECT_TRUE(up());
  shadow.handle([](Stream& stream) { stream.send("-LOADING the data set"); });
  EXPECT_FALSE(up());
  shadow.handle([](Stream&) {});
  EXPECT_FALSE(up());
  shadow.handle([&](Stream&) { shadow.stall(); });
  EXPECT_FALSE(up());
  options = {};
  EXPECT_TRUE(up()) << "a connection alone is taken for well";
}

TEST(TcpKind, ReadsWhatTheInstanceOffers) {
  const auto kind = make_tcp_kind();
  Instance bare = {.id = "a", .endpoint = {"127.0.0.1", 1}};
  ASSERT_EQ(kind->sources(bare, {}).size(), 1u);
  const auto readings = kind->sources(bare, {}).front()->scrape({});
  ASSERT_TRUE(readings);
  EXPECT_EQ(readings->front().value, 0.0) << "nobody listens";
  bare.pid_file = "/nowhere";
  bare.data_dir = "/";
  bare.attributes["cgroup"] = "/sys/fs/cgroup";
  EXPECT_EQ(kind->sources(bare, {}).size(), 4u);
  EXPECT_TRUE(kind->traits().shares_data);
  EXPECT_FALSE(kind->traits().fences);
}

}  // namespace
}  // namespace foreshadow::kinds::tcp
