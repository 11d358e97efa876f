// A gateway whole: its commands, its death and its successors, with one thread and with several.
#include "proxy/gateway.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <list>
#include <thread>

#include "proxy/gateway_rig.hpp"

namespace foreshadow::proxy {
namespace {

using namespace testing;

TEST_P(GatewayTest, AppliesTablesAndReports) {
  const auto gateway = start();
  const Client client(port);
  EXPECT_EQ(client.ask(), 'a');
  const auto ack = apply(table(0, 1, 1.0));
  ASSERT_TRUE(ack) << ack.error().what;
  EXPECT_EQ(ack->get<GatewayAck>(), (GatewayAck{"edge", gateway->incarnation()}));
  EXPECT_EQ(client.ask(), 'b') << "the open connection follows";
  EXPECT_TRUE(apply(table(0, 1, 1.0))) << "the same again";
  EXPECT_EQ(apply(table(0, 1, 0.5)).error().code, Code::conflict);
  EXPECT_EQ(apply(RouteTable{}).error().code, Code::invalid);
  auto unknown = table(0, 2);
  unknown.resource = "bank";
  EXPECT_EQ(apply(unknown).error().code, Code::invalid);
  const auto r = report();
  EXPECT_EQ(r.gateway, "edge");
  EXPECT_EQ(r.incarnation, gateway->incarnation());
  EXPECT_EQ(r.version, 1u);
  EXPECT_EQ(r.sessions, 1);
  EXPECT_EQ(r.segments.at(0).current.requests, 1u);
  EXPECT_EQ(r.segments.at(0).other.requests, 1u);
}

TEST_P(GatewayTest, RefusesNonsenseOnItsControlSocket) {
  const auto gateway = start();
  for (const auto& bad :
       {json::array(), json::object(), json{{"verb", 5}}, json{{"verb", "dance"}}, json{{"verb", "apply"}},
        json{{"verb", "apply"}, {"table", {{"resource", "shop"}}}}, json{{"verb", "hold"}, {"resource", "shop"}},
        json{{"verb", "seal"}, {"resource", "shop"}, {"term", -1}, {"next_epoch", 1}, {"incarnation", ""}},
        json{{"verb", "report"}, {"resource", "bank"}}}) {
    const auto answer = call(bad);
    ASSERT_FALSE(answer) << bad.dump();
    if (bad.dump().find("-1") == std::string::npos) EXPECT_EQ(answer.error().code, Code::invalid) << bad.dump();
  }
  EXPECT_TRUE(call({{"verb", "ping"}}));
}

TEST_P(GatewayTest, HandsOverWithoutOneFailedUnit) {
  const auto gateway = start();
  std::atomic<bool> stop = false;
  std::atomic<int> failed = 0, done = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([&] {
      const Client client(port);
      while (!stop) {
        const char answer = client.ask();
        failed += answer != 'a' && answer != 'b';
        ++done;
      }
    });
  for (std::uint64_t epoch = 1; epoch <= 10; ++epoch) {
    const int before = done;
    ASSERT_TRUE(until([&] { return done > before + 200; }));
    const auto ack = hold(epoch);
    ASSERT_TRUE(ack) << ack.error().what;
    EXPECT_EQ(report().in_flight, 0);
    EXPECT_EQ(report().hold, HoldState::held);
    ASSERT_TRUE(seal(epoch, ack->get<GatewayAck>().incarnation));
    auto next = table(epoch, 1);
    if (epoch % 2) next.current = instance("b", 9002);
    ASSERT_TRUE(apply(next));
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(failed, 0);
}

TEST_P(GatewayTest, HoldOverBudgetAnswersTimeoutAndReleases) {
  const auto gateway = start();
  const Client busy(port), waiting(port);
  busy.send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 1; }));
  const auto answer = hold(1, {.lease = kLong, .budget = Millis{50}, .park_max = kLong});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timeout);
  EXPECT_EQ(waiting.ask(), 'a');
}

TEST_P(GatewayTest, SealNeedsALivingLeaseAndTheSameIncarnation) {
  const auto gateway = start();
  EXPECT_EQ(seal(1, gateway->incarnation()).error().code, Code::refused);
  ASSERT_TRUE(hold(1, {.lease = Millis{400}, .budget = Millis{300}, .park_max = kLong}));
  EXPECT_EQ(seal(1, "another").error().code, Code::conflict);
  ASSERT_TRUE(until([&] { return report().hold == HoldState::open; }));
  EXPECT_EQ(seal(1, gateway->incarnation()).error().code, Code::refused);
}

TEST_P(GatewayTest, ReleaseGetsThroughWhileAHoldDrains) {
  const auto gateway = start();
  const Client busy(port);
  busy.send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 1; }));
  std::thread holder([&] {
    const auto answer = hold(1);
    EXPECT_FALSE(answer);
    if (!answer) EXPECT_EQ(answer.error().code, Code::refused);
  });
  ASSERT_TRUE(until([&] { return report().hold == HoldState::holding; }));
  EXPECT_TRUE(release(1));
  holder.join();
  EXPECT_EQ(report().hold, HoldState::open);
}

TEST_P(GatewayTest, OneGatewayPerName) {
  const auto gateway = start();
  auto second = settings();
  second.listeners[0].listen.port = 0;
  const auto refused = Gateway::start(second, protocol);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::conflict);
}

TEST_P(GatewayTest, DamagedStateStopsTheStartAndSaysWhatToDo) {
  std::filesystem::create_directories(dir);
  std::ofstream(gateway_state_path(dir, "edge")) << "{\"format\":1,";
  const auto refused = Gateway::start(settings(), protocol);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::corrupt);
  EXPECT_NE(refused.error().what.find("move the file aside"), std::string::npos);
}

TEST_P(GatewayTest, NoDiskNoAcknowledgement) {
  const auto gateway = start();
  ASSERT_TRUE(apply(table(0, 1)));
  const auto ack = hold(1);
  ASSERT_TRUE(ack);
  // The directory is gone: nothing can be made durable, also not by root.
  std::filesystem::rename(dir, dir + "-away");
  std::filesystem::create_directories(dir);
  std::filesystem::create_symlink(dir + "-away/gateway-edge.sock", gateway_socket_path(dir, "edge"));
  std::filesystem::create_directories(gateway_state_path(dir, "edge") + "/in-the-way");
  EXPECT_FALSE(apply(table(0, 2)));
  EXPECT_EQ(report().version, 1u);
  EXPECT_FALSE(seal(1, gateway->incarnation()));
  EXPECT_EQ(report().hold, HoldState::held) << "as if the seal had not been asked for";
  std::filesystem::remove_all(dir);
  std::filesystem::rename(dir + "-away", dir);
  EXPECT_TRUE(seal(1, gateway->incarnation()));
}

TEST_P(GatewayTest, ShedsConnectionsOverTheLimitAndKeepsItsControl) {
  auto s = settings();
  s.listeners[0].connections_max = 3;
  const auto gateway = Gateway::start(s, protocol);
  ASSERT_TRUE(gateway);
  port = (*gateway)->endpoint("shop").port;
  std::list<Client> in;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(in.emplace_back(port).ask(), 'a');
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Client(port).receive(), '\0');
  EXPECT_EQ(in.front().ask(), 'a');
  EXPECT_EQ(report().sessions, 3);
}

TEST_P(GatewayTest, ShutdownLetsWorkFinish) {
  auto gateway = start();
  const Client busy(port), idle(port);
  busy.send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 1; }));
  std::thread finisher([&] {
    // The listener is gone before the work is done.
    ASSERT_TRUE(until([&] { return !Client(port).connected(); }));
    busy.send('.');
    EXPECT_EQ(busy.receive(), 'a');
    busy.end();
    idle.end();
  });
  gateway.reset();
  finisher.join();
}

// A whole gateway in a process of its own, to be killed.
struct KilledGatewayTest : GatewayTest {
  pid_t child = 0;
  void spawn() {
    if (port == 0) {
      // The same port in every life: taken once, then free.
      const auto probe = start();
    }
    child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::stop_source never;
      _exit(Gateway::run(settings(), protocol, never.get_token()) ? 0 : 1);
    }
    ASSERT_TRUE(until([&] { return call({{"verb", "ping"}}).has_value(); }));
  }
  void kill9() {
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    child = 0;
  }
  void TearDown() override {
    if (child) kill9();
    GatewayTest::TearDown();
  }
};

TEST_P(KilledGatewayTest, BackInUnderASecondWithItsTable) {
  spawn();
  ASSERT_TRUE(apply(table(3, 7, 1.0)));
  const auto before = report().incarnation;
  const Client client(port);
  EXPECT_EQ(client.ask(), 'b');
  kill9();
  EXPECT_EQ(client.receive(), '\0');
  const auto killed_at = std::chrono::steady_clock::now();
  spawn();
  EXPECT_EQ(Client(port).ask(), 'b');
  EXPECT_LT(std::chrono::steady_clock::now() - killed_at, std::chrono::seconds{1});
  EXPECT_NE(report().incarnation, before);
  EXPECT_EQ(report().version, 7u);
  EXPECT_EQ(apply(table(2, 99)).error().code, Code::conflict);
}

TEST_P(KilledGatewayTest, BootsSealedAndStaysClosedToTheOldSide) {
  spawn();
  ASSERT_TRUE(apply(table(3, 1)));
  const auto ack = hold(4, {.lease = Millis{5000}, .budget = Millis{5000}, .park_max = Millis{100}});
  ASSERT_TRUE(ack);
  const auto incarnation = ack->get<GatewayAck>().incarnation;
  ASSERT_TRUE(seal(4, incarnation));
  kill9();
  spawn();
  EXPECT_EQ(report().hold, HoldState::sealed);
  EXPECT_EQ(Client(port).ask(), '!') << "waits to its cap, then is told honestly";
  EXPECT_EQ(seal(4, incarnation).error().code, Code::conflict) << "another incarnation";
  EXPECT_EQ(apply(table(3, 2)).error().code, Code::conflict);
  auto next = table(4, 1);
  next.current = instance("b", 9002);
  ASSERT_TRUE(apply(next));
  EXPECT_EQ(Client(port).ask(), 'b');
  kill9();
  spawn();
  EXPECT_EQ(report().hold, HoldState::open);
  EXPECT_EQ(Client(port).ask(), 'b');
}

TEST_P(KilledGatewayTest, AHoldEndsWithItsProcess) {
  spawn();
  const auto ack = hold(1);
  ASSERT_TRUE(ack);
  kill9();
  spawn();
  EXPECT_EQ(report().hold, HoldState::open);
  EXPECT_EQ(Client(port).ask(), 'a');
  EXPECT_EQ(seal(1, ack->get<GatewayAck>().incarnation).error().code, Code::conflict);
  EXPECT_EQ(seal(1, report().incarnation).error().code, Code::refused);
}

TEST_P(KilledGatewayTest, AReleaseOutlivesTheProcess) {
  spawn();
  const auto ack = hold(1);
  ASSERT_TRUE(ack);
  ASSERT_TRUE(seal(1, ack->get<GatewayAck>().incarnation));
  ASSERT_TRUE(release(1));
  kill9();
  spawn();
  EXPECT_EQ(report().hold, HoldState::open);
}

// --- one process takes over from another
// -------------------------------------------------------------------------------

struct TakeOverTest : GatewayTest {
  std::unique_ptr<Gateway> take_over() {
    auto next = settings();
    next.take_over = true;
    auto gateway = Gateway::start(next, protocol);
    EXPECT_TRUE(gateway) << gateway.error().what;
    return gateway ? std::move(*gateway) : nullptr;
  }
};

TEST_P(TakeOverTest, NobodyIsRefusedAndStateGoesAlong) {
  auto first = start();
  ASSERT_TRUE(apply(table(0, 1, 1.0)));
  Asking clients(port, 'b');
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(clients.goes_on());
    auto second = take_over();
    ASSERT_TRUE(second);
    EXPECT_EQ(call({{"verb", "ping"}})->get<GatewayAck>().incarnation, second->incarnation());
    EXPECT_EQ(report().version, 1u) << "the table went along";
    first->wait({});
    first = std::move(second);
  }
  EXPECT_TRUE(clients.goes_on());
  clients.end();
  EXPECT_EQ(clients.refused(), 0) << "of " << clients.done();
}

TEST_P(TakeOverTest, AHoldWaitsForWhatTheOldProcessStillDoes) {
  auto first = start();
  const Client busy(port);
  busy.send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 1; }));
  const auto second = take_over();
  ASSERT_TRUE(second);
  EXPECT_EQ(hold(1).error().code, Code::refused) << "its work could write to the old side behind the seal";
  std::thread old([&] {
    // Told to hurry by the refused hold: it ends long before its time, with its session.
    first->wait({});
    first.reset();
  });
  busy.send('x');
  EXPECT_EQ(busy.receive(), 'a') << "what was under way is finished";
  old.join();
  EXPECT_TRUE(until([&] { return hold(1).has_value(); }));
}

TEST_P(TakeOverTest, IsRefusedDuringAHoldAndAfterASealAndTheOldOneServesOn) {
  const auto first = start();
  const auto held = hold(1);
  ASSERT_TRUE(held);
  auto next = settings();
  next.take_over = true;
  const auto during = Gateway::start(next, protocol);
  ASSERT_FALSE(during);
  EXPECT_EQ(during.error().code, Code::refused) << during.error().what;
  ASSERT_TRUE(seal(1, first->incarnation()));
  EXPECT_FALSE(Gateway::start(next, protocol));
  auto moved = table(1, 1);
  moved.current = instance("b", 9002);
  moved.other.reset();
  ASSERT_TRUE(apply(moved));
  const Client client(port);
  EXPECT_EQ(client.ask(), 'b');
}

TEST_P(TakeOverTest, ANewProcessThatCannotStartChangesNothing) {
  const auto first = start();
  auto next = settings();
  next.take_over = true;
  const auto failed = Gateway::start(next, [](const ListenerSettings&, asio::any_io_executor) {
    return Result<std::unique_ptr<Protocol>>(fail(Code::invalid, "a certificate is missing"));
  });
  ASSERT_FALSE(failed);
  const Client client(port);
  EXPECT_EQ(client.ask(), 'a');
  EXPECT_TRUE(apply(table(0, 1)));
  const auto second = take_over();
  EXPECT_TRUE(second) << "the next attempt is as good as the first";
}

TEST_P(TakeOverTest, WithoutAPredecessorItIsAStartLikeAnyOther) {
  const auto only = take_over();
  ASSERT_TRUE(only);
  port = only->endpoint("shop").port;
  const Client client(port);
  EXPECT_EQ(client.ask(), 'a');
}

TEST_P(TakeOverTest, AnotherListenAddressIsOpenedAfresh) {
  const auto first = start();
  auto next = settings();
  next.take_over = true;
  next.listeners[0].listen.host = "127.0.0.2";
  const auto second = Gateway::start(next, protocol);
  ASSERT_TRUE(second) << second.error().what;
  EXPECT_EQ((*second)->endpoint("shop").host, "127.0.0.2");
}

INSTANTIATE_TEST_SUITE_P(Threads, GatewayTest, ::testing::Values(1, 2, 3));
INSTANTIATE_TEST_SUITE_P(Threads, KilledGatewayTest, ::testing::Values(1, 2));
INSTANTIATE_TEST_SUITE_P(Threads, TakeOverTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace foreshadow::proxy
