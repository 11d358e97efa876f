// A gateway of several threads is one gateway: to its clients, to whoever gives it orders, and to its limits.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <list>
#include <thread>

#include "proxy/gateway_rig.hpp"

namespace foreshadow::proxy {
namespace {

using namespace testing;

struct ThreadsTest : GatewayTest {
  // One client at each thread, in their order.
  std::list<Client> one_each() const {
    std::list<Client> clients;
    for (int i = 0; i < GetParam(); ++i) clients.emplace_back(port);
    clients.sort([](const Client& a, const Client& b) { return a.ask('t') < b.ask('t'); });
    char expected = '0';
    for (const auto& client : clients) EXPECT_EQ(client.ask('t'), expected++);
    return clients;
  }
  // After its answer a thread has also done what it was about to do before.
  void let_settle() const {
    report();
    report();
  }
  std::future<Result<json>> hold_later(std::uint64_t epoch, HoldPolicy policy = {kLong, kLong, kLong}) const {
    return std::async(std::launch::async, [this, epoch, policy] { return hold(epoch, policy); });
  }
  static bool answered(const std::future<Result<json>>& answer) {
    return answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
  }
};

TEST_P(ThreadsTest, ClientsGoWhereTheFewestAre) {
  const auto gateway = start();
  std::vector<std::list<Client>> at(static_cast<std::size_t>(GetParam()));
  const auto connect = [&] {
    Client client(port);
    const auto nth = static_cast<std::size_t>(client.ask('t') - '0');
    at.at(nth).push_back(std::move(client));
  };
  for (int i = 0; i < 3 * GetParam(); ++i) connect();
  for (const auto& clients : at) EXPECT_EQ(clients.size(), 3u);
  at[1].clear();
  ASSERT_TRUE(until([&] { return report().sessions == 3 * (GetParam() - 1); }));
  let_settle();
  for (int i = 0; i < 3; ++i) connect();
  EXPECT_EQ(at[1].size(), 3u) << "those who left made room there";
}

TEST_P(ThreadsTest, AHoldIsCompleteWhenTheLastThreadHasDrained) {
  const auto gateway = start();
  const auto clients = one_each();
  for (const auto& client : clients) client.send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == GetParam(); }));
  auto held = hold_later(1);
  ASSERT_TRUE(until([&] { return report().hold == HoldState::holding; }));
  const auto parked = one_each();
  for (const auto& client : parked) client.send('x');
  ASSERT_TRUE(until([&] { return report().parked == GetParam(); })) << "new work waits at every thread";
  int left = GetParam();
  for (const auto& client : clients) {
    EXPECT_FALSE(answered(held)) << left << " still at work";
    client.send('.');
    EXPECT_EQ(client.receive(), 'a');
    ASSERT_TRUE(until([&] { return report().in_flight == left - 1; }));
    --left;
  }
  ASSERT_TRUE(held.get());
  EXPECT_EQ(report().hold, HoldState::held);
  EXPECT_EQ(report().parked, GetParam());
  ASSERT_TRUE(seal(1, gateway->incarnation()));
  EXPECT_EQ(report().hold, HoldState::sealed);
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  ASSERT_TRUE(apply(next));
  for (const auto& client : parked) EXPECT_EQ(client.receive(), 'b');
  for (const auto& client : clients) EXPECT_EQ(client.ask(), 'b');
  EXPECT_EQ(report().hold, HoldState::open);
}

TEST_P(ThreadsTest, OneThatDoesNotDrainInTimeReleasesAll) {
  const auto gateway = start();
  const auto clients = one_each();
  clients.back().send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 1; }));
  auto refused = hold_later(1, {.lease = kLong, .budget = Millis{100}, .park_max = kLong});
  for (const auto& client : clients)
    if (&client != &clients.back()) EXPECT_EQ(client.ask(), 'a') << "parked, and let go with the last thread's hold";
  const auto answer = refused.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timeout) << answer.error().what;
  EXPECT_EQ(report().hold, HoldState::open);
  EXPECT_EQ(seal(1, gateway->incarnation()).error().code, Code::refused);
  clients.back().send('.');
  EXPECT_EQ(clients.back().receive(), 'a');
  EXPECT_TRUE(hold(1)) << "the next attempt is as good as the first";
  ASSERT_TRUE(release(1));
}

TEST_P(ThreadsTest, AnUnmovableSessionAtOneThreadKeepsNoneHeld) {
  const auto gateway = start();
  const auto clients = one_each();
  EXPECT_EQ(clients.back().ask('u'), 'a');
  const auto answer = hold(1);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::refused) << answer.error().what;
  EXPECT_NE(answer.error().what.find("asked to stay"), std::string::npos) << answer.error().what;
  for (const auto& client : clients) EXPECT_EQ(client.ask(), 'a');
  EXPECT_EQ(report().hold, HoldState::open);
}

TEST_P(ThreadsTest, OneThatFindsOutLateThatItCannotReleasesTheOthersAtOnce) {
  const auto gateway = start();
  const auto clients = one_each();
  const auto second = one_each();
  clients.back().send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 1; }));
  auto refused = hold_later(1);
  ASSERT_TRUE(until([&] { return report().hold == HoldState::holding; }));
  for (const auto& client : second) client.send(&client == &second.back() ? 'u' : 'x');
  ASSERT_TRUE(until([&] { return report().parked == GetParam(); }));
  clients.back().send('.');
  EXPECT_EQ(clients.back().receive(), 'a');
  const auto answer = refused.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::refused) << answer.error().what;
  for (const auto& client : second) EXPECT_EQ(client.receive(), 'a');
}

TEST_P(ThreadsTest, ALeaseLapsesAtAll) {
  const auto gateway = start();
  const auto clients = one_each();
  ASSERT_TRUE(hold(1, {.lease = Millis{400}, .budget = Millis{300}, .park_max = kLong}));
  for (const auto& client : clients) client.send('x');
  for (const auto& client : clients) EXPECT_EQ(client.receive(), 'a');
  EXPECT_EQ(report().hold, HoldState::open);
  EXPECT_EQ(seal(1, gateway->incarnation()).error().code, Code::refused);
}

TEST_P(ThreadsTest, AReleaseAndARepeatedHoldReachAll) {
  const auto gateway = start();
  const auto clients = one_each();
  ASSERT_TRUE(hold(1));
  ASSERT_TRUE(hold(1)) << "renewed";
  EXPECT_EQ(hold(2).error().code, Code::conflict) << "held for another epoch";
  EXPECT_EQ(report().hold, HoldState::held) << "and goes on";
  ASSERT_TRUE(seal(1, gateway->incarnation()));
  for (const auto& client : clients) client.send('x');
  ASSERT_TRUE(until([&] { return report().parked == GetParam(); }));
  ASSERT_TRUE(release(1));
  for (const auto& client : clients) EXPECT_EQ(client.receive(), 'a');
}

TEST_P(ThreadsTest, AReportIsTheSum) {
  const auto gateway = start();
  const auto clients = one_each();
  ASSERT_TRUE(apply(table(0, 1, 1.0)));
  int asked = 0, more = 0;
  for (const auto& client : clients) {
    ++more;
    for (int i = 0; i < more; ++i, ++asked) EXPECT_EQ(client.ask(), 'b');
  }
  clients.front().send('w');
  clients.back().send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == 2; }));
  const auto r = report();
  EXPECT_EQ(r.sessions, GetParam());
  EXPECT_EQ(r.segments.size(), 2u);
  EXPECT_EQ(r.segments.at(0).other.requests, static_cast<std::uint64_t>(asked));
  EXPECT_EQ(r.segments.at(0).other.latency.total(), static_cast<std::uint64_t>(asked));
  ASSERT_EQ(r.instances.size(), 2u);
  EXPECT_EQ(r.instances.at(0).instance, "a");
  EXPECT_EQ(r.instances.at(1).busy, 2);
  clients.front().send('.');
  clients.back().send('.');
  EXPECT_EQ(clients.front().receive(), 'b');
  EXPECT_EQ(clients.back().receive(), 'b');
}

TEST_P(ThreadsTest, TheLimitOfConnectionsIsThatOfTheProcess) {
  auto s = settings();
  s.listeners[0].connections_max = 10;
  const auto gateway = Gateway::start(s, protocol);
  ASSERT_TRUE(gateway);
  port = (*gateway)->endpoint("shop").port;
  std::vector<std::future<std::optional<Client>>> coming;
  for (int i = 0; i < 60; ++i)
    coming.push_back(std::async(std::launch::async, [this]() -> std::optional<Client> {
      Client client(port);
      // One that is closed at once may be reset while it speaks.
      if (!client.connected() || !client.try_send('x') || client.receive() != 'a') return std::nullopt;
      return client;
    }));
  std::list<Client> in;
  for (auto& one : coming)
    if (auto client = one.get()) in.push_back(std::move(*client));
  EXPECT_EQ(in.size(), 10u);
  EXPECT_EQ(report().sessions, 10);
  for (int i = 0; i < 4; ++i) in.pop_front();
  ASSERT_TRUE(until([&] { return report().sessions == 6; }));
  let_settle();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(in.emplace_back(port).ask(), 'a');
  EXPECT_EQ(Client(port).receive(), '\0');
}

TEST_P(ThreadsTest, ParkedWorkIsLimitedInAll) {
  auto s = settings();
  s.listeners[0].parked_max = 5;
  const auto gateway = Gateway::start(s, protocol);
  ASSERT_TRUE(gateway);
  port = (*gateway)->endpoint("shop").port;
  std::list<Client> clients;
  for (int i = 0; i < 4 * GetParam(); ++i) clients.emplace_back(port);
  for (const auto& client : clients) EXPECT_EQ(client.ask(), 'a');
  ASSERT_TRUE(hold(1));
  for (const auto& client : clients) client.send('x');
  ASSERT_TRUE(until([&] {
    const auto r = report();
    return r.parked + static_cast<int>(r.segments.at(0).refusals.parked_full) == 4 * GetParam();
  }));
  EXPECT_EQ(report().parked, 5);
  ASSERT_TRUE(release(1));
}

TEST_P(ThreadsTest, ShutdownLetsTheWorkOfAllFinish) {
  auto gateway = start();
  const auto clients = one_each();
  for (const auto& client : clients) client.send('w');
  ASSERT_TRUE(until([&] { return report().in_flight == GetParam(); }));
  std::thread finisher([&] {
    ASSERT_TRUE(until([&] { return !Client(port).connected(); }));
    for (const auto& client : clients) {
      client.send('.');
      EXPECT_EQ(client.receive(), 'a');
      client.end();
    }
  });
  gateway.reset();
  finisher.join();
}

TEST_P(ThreadsTest, AnotherNumberOfThreadsTakesOver) {
  auto gateway = start();
  ASSERT_TRUE(apply(table(0, 1, 1.0)));
  Asking clients(port, 'b');
  for (const int threads : {1, GetParam() + 1, 1, GetParam()}) {
    ASSERT_TRUE(clients.goes_on());
    auto next = settings();
    next.take_over = true;
    next.threads = threads;
    auto successor = Gateway::start(next, protocol);
    ASSERT_TRUE(successor) << successor.error().what;
    gateway->wait({});
    gateway = std::move(*successor);
  }
  EXPECT_TRUE(clients.goes_on());
  clients.end();
  EXPECT_EQ(clients.refused(), 0) << "of " << clients.done();
  const auto held = hold(1);
  EXPECT_TRUE(held) << held.error().what;
}

TEST_P(ThreadsTest, AKindThatKnowsOneThreadIsServedByOne) {
  class Alone final : public Protocol {
   public:
    asio::awaitable<void> serve(asio::ip::tcp::socket client, Gate& gate) override {
      return bytes_.serve(std::move(client), gate);
    }

   private:
    ByteProtocol bytes_;
  };
  const auto gateway = Gateway::start(settings(), [](const ListenerSettings&, asio::any_io_executor) {
    return Result<std::unique_ptr<Protocol>>(std::make_unique<Alone>());
  });
  ASSERT_TRUE(gateway);
  port = (*gateway)->endpoint("shop").port;
  std::list<Client> clients;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(clients.emplace_back(port).ask('t'), '0');
  ASSERT_TRUE(hold(1));
  ASSERT_TRUE(seal(1, (*gateway)->incarnation()));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  ASSERT_TRUE(apply(next));
  for (const auto& client : clients) EXPECT_EQ(client.ask(), 'b');
}

TEST_P(ThreadsTest, NoThreadsAndTooManyAreRefused) {
  for (const int threads : {0, -1, kThreadsMax + 1}) {
    auto s = settings();
    s.threads = threads;
    const auto refused = Gateway::start(s, protocol);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid);
  }
}

// --- what a hold and a table promise, watched from where the work is done
// ---------------------------------------------

// Clients as ByteProtocol's. Remembers what it was told that is not true.
class Watching final : public Protocol {
 public:
  struct Watch {
    std::atomic<int> writing = 0;
    std::atomic<bool> nothing_may_start = false;
    std::atomic<std::uint64_t> epoch = 0;  // acknowledged
    std::atomic<int> started_in_hold = 0;
    std::atomic<int> of_an_old_epoch = 0;
    std::atomic<std::uint64_t> done = 0;
  };
  explicit Watching(std::shared_ptr<Watch> watch) : watch_(std::move(watch)) {}
  Result<std::unique_ptr<Protocol>> another(asio::any_io_executor) override {
    return std::make_unique<Watching>(watch_);
  }
  asio::awaitable<void> serve(asio::ip::tcp::socket client, Gate& gate) override {
    for (char byte = 0;;) {
      auto [error, n] = co_await client.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
      if (error) co_return;
      const auto acknowledged = watch_->epoch.load();
      auto pass = gate.try_enter(0, 0);
      if (!pass) {
        auto waited = co_await gate.enter(0, 0);
        if (!waited) co_return;
        pass.emplace(std::move(*waited));
      }
      ++watch_->writing;
      if (watch_->nothing_may_start) ++watch_->started_in_hold;
      if (pass->epoch() < acknowledged) ++watch_->of_an_old_epoch;
      // The work itself: some turns of the loop.
      for (int i = 0; i < 3; ++i) co_await asio::post(client.get_executor(), asio::use_awaitable);
      --watch_->writing;
      pass->finish(true, Micros{1});
      pass.reset();
      ++watch_->done;
      auto [end, m] = co_await asio::async_write(client, asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
      if (end) co_return;
    }
  }

 private:
  std::shared_ptr<Watch> watch_;
};

TEST_P(ThreadsTest, NothingIsWrittenInAHoldNorAtAnOldSide) {
  const auto watch = std::make_shared<Watching::Watch>();
  const auto gateway = Gateway::start(settings(), [&](const ListenerSettings&, asio::any_io_executor) {
    return Result<std::unique_ptr<Protocol>>(std::make_unique<Watching>(watch));
  });
  ASSERT_TRUE(gateway);
  port = (*gateway)->endpoint("shop").port;
  std::atomic<bool> stop = false;
  std::atomic<int> failed = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 3 * GetParam(); ++i)
    clients.emplace_back([&] {
      const Client client(port);
      while (!stop) failed += client.ask() != 'x';
    });
  std::uint64_t epoch = 0;
  for (int round = 0; round < 16; ++round) {
    const auto before = watch->done.load();
    ASSERT_TRUE(until([&] { return watch->done > before + 20; }));
    const auto next_epoch = epoch + 1;
    const auto ack = hold(next_epoch);
    ASSERT_TRUE(ack) << ack.error().what;
    EXPECT_EQ(watch->writing, 0);
    watch->nothing_may_start = true;
    const bool released = round % 4 == 3;
    if (!released) ASSERT_TRUE(seal(next_epoch, (*gateway)->incarnation()));
    EXPECT_EQ(watch->writing, 0);
    watch->nothing_may_start = false;
    if (released) {
      ASSERT_TRUE(release(next_epoch));
      continue;
    }
    auto next = table(++epoch, 1);
    next.current = epoch % 2 ? instance("b", 9002) : instance("a", 9001);
    ASSERT_TRUE(apply(next));
    watch->epoch = epoch;
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(watch->started_in_hold, 0);
  EXPECT_EQ(watch->of_an_old_epoch, 0);
}

INSTANTIATE_TEST_SUITE_P(Several, ThreadsTest, ::testing::Values(2, 3));

}  // namespace
}  // namespace foreshadow::proxy
