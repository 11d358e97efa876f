// Upgraded connections under holds, moving weights, and a gateway that ends.
#include <boost/asio/io_context.hpp>
#include <chrono>

#include "kinds/http/rig.hpp"
#include "kinds/http/session/watchdog.hpp"
#include "kinds/http/websocket.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

using Steady = std::chrono::steady_clock;

struct Moving : Rig {
  WsEcho on_a{a};
  WsEcho on_b{b};
  WebSocket open(const std::string& greeting, const std::string& fields = "") {
    auto stream = connect();
    auto request = kUpgrade;
    request.insert(request.size() - 2, fields);
    EXPECT_TRUE(stream.send(request));
    const auto answer = read_message(stream);
    EXPECT_TRUE(answer && answer->status() == 101) << (answer ? answer->head : "no answer");
    WebSocket socket{std::move(stream)};
    EXPECT_EQ(socket.hear(), greeting);
    return socket;
  }
};

TEST_F(Moving, AHoldSeesThemOutAndTheyComeBackToTheNewSide) {
  listener().options["upgrade_close_within"] = "10s";
  start();
  constexpr int kClients = 12, kSaid = 50;
  std::atomic<int> parked = 0, landed = 0;
  std::vector<std::jthread> clients;
  for (int c = 0; c < kClients; ++c)
    clients.emplace_back([&, c] {
      auto socket = open("a");
      for (int i = 0; i < kSaid; ++i) socket.say(std::to_string(c) + "." + std::to_string(i));
      ++parked;
      for (;;) {
        const auto frame = socket.next();
        if (!frame) return void(ADD_FAILURE() << "no Close frame");
        if (frame->opcode != kWsClose) continue;
        EXPECT_EQ(frame->code(), 1012);
        socket.answer(*frame);
        EXPECT_TRUE(socket.stream.ended());
        break;
      }
      auto again = open("b");
      again.say("back");
      landed += again.hear() == "back";
    });
  ASSERT_TRUE(eventually([&] { return parked == kClients; }));
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  EXPECT_EQ(report().in_flight, 0);
  EXPECT_TRUE(eventually([&] { return report().parked == kClients; }));
  EXPECT_EQ(b.count(), 0U);
  const auto heard = on_a.received().size();
  ASSERT_TRUE(seal(1, *ack));
  apply(handed_over(1));
  for (auto& client : clients) client.join();
  EXPECT_EQ(landed, kClients);
  EXPECT_EQ(heard, static_cast<std::size_t>(kClients * kSaid)) << "all that was said before the Close was heard";
  EXPECT_EQ(on_a.codes(), std::vector<int>(kClients, 1012)) << "and the old side was told in order";
}

// The instance talks without pause, in frames of all sizes: ours must come between two of them.
TEST_F(Moving, TheCloseComesBetweenTwoFrames) {
  a.handle([](const Message&, Stream& stream) {
    stream.send(kSwitch);
    stream.send(to_bytes({true, kWsText, "a"}, false));
    bool sending = true;
    for (std::size_t n = 1; sending; n = n * 5 % 300'007)
      sending = stream.send(to_bytes({n % 3 == 0, n % 2 ? kWsBinary : kWsContinuation, std::string(n, 'f')}, false));
    return Backend::Reply{"", true};
  });
  // What waits in the sockets is read first, and that may take a while.
  listener().options["upgrade_close_within"] = "10s";
  start();
  auto socket = open("a");
  Result<GatewayAck> ack = fail(Code::invalid, "");
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(socket.next());
  std::jthread holder([&] { ack = hold(1); });
  std::optional<WsFrame> frame;
  do {
    frame = socket.next();
    ASSERT_TRUE(frame) << "cut without a word";
    if (frame->opcode != kWsClose) {
      ASSERT_TRUE(frame->payload.find_first_not_of('f') == std::string::npos) << "out of step";
    }
  } while (frame->opcode != kWsClose);
  EXPECT_EQ(frame->code(), 1012);
  socket.answer(*frame);
  bool reset = true;
  EXPECT_EQ(socket.stream.read_all(&reset), "") << "nothing follows a Close";
  EXPECT_FALSE(reset);
  holder.join();
  ASSERT_TRUE(ack) << ack.error().what;
}

TEST_F(Moving, AClientThatDoesNotAnswerHoldsNothingUp) {
  start();
  auto socket = open("a");
  const auto ack = hold(1, {.lease = kPatient, .budget = Millis{2000}, .park_max = kPatient});
  ASSERT_TRUE(ack) << ack.error().what;
  EXPECT_EQ(report().in_flight, 0);
  EXPECT_TRUE(eventually([&] { return a.open() == 0; })) << "the old side hears nothing more";
  const auto close = socket.next();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->code(), 1012);
  bool reset = true;
  EXPECT_EQ(socket.stream.read_all(&reset), "");
  EXPECT_FALSE(reset);
}

// The instance has begun a frame and does not go on: there is no place for ours.
TEST_F(Moving, AFrameWithoutAnEndIsCut) {
  a.handle([this](const Message&, Stream& stream) {
    stream.send(kSwitch);
    stream.send(to_bytes({true, kWsText, "a"}, false) +
                to_bytes({true, kWsText, std::string(1000, 'x')}, false).substr(0, 9));
    a.stall();
    return Backend::Reply{"", true};
  });
  start();
  auto socket = open("a");
  ASSERT_TRUE(hold(1, {.lease = kPatient, .budget = Millis{2000}, .park_max = kPatient}));
  bool reset = false;
  EXPECT_EQ(socket.stream.read_all(&reset).size(), 9U);
  EXPECT_TRUE(reset) << "never an orderly end in the middle";
}

TEST_F(Moving, OtherProtocolsAreClosed) {
  a.handle([](const Message&, Stream& stream) {
    stream.send("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n\r\nhello");
    stream.read_all();
    return Backend::Reply{"", true};
  });
  start();
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n\r\n");
  ASSERT_EQ(read_message(client)->status(), 101);
  ASSERT_EQ(client.read_exactly(5), "hello");
  ASSERT_TRUE(hold(1, {.lease = kPatient, .budget = Millis{2000}, .park_max = kPatient}));
  bool reset = true;
  EXPECT_EQ(client.read_all(&reset), "");
  EXPECT_FALSE(reset) << "nothing was under way";
}

TEST_F(Moving, IfTheyAreToStayTheyBreakTheHold) {
  listener().options["upgrade_on_hold"] = "wait";
  start();
  auto socket = open("a");
  const auto refused = hold(1, {.lease = kPatient, .budget = Millis{200}, .park_max = kPatient});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::timeout);
  ASSERT_TRUE(socket.say("still here"));
  EXPECT_EQ(socket.hear(), "still here");
}

TEST_F(Moving, WhomTheTableGivesToTheOtherSideIsMovedInTurn) {
  listener().options["sticky"] = "header:X-Client";
  listener().options["move_long_lived_within"] = "1s";
  start();
  apply(split(0, 0));
  constexpr int kClients = 20;
  const auto name = [](int c) { return "X-Client: c" + std::to_string(c) + "\r\n"; };
  std::vector<WebSocket> sockets;
  for (int c = 0; c < kClients; ++c) sockets.push_back(open("a", name(c)));
  const auto from = Steady::now();
  apply(split(0.5, 0));
  // Which side each is on now, as a plain request tells.
  std::vector<bool> moved;
  std::atomic<int> ended = 0;
  std::vector<Millis> when(kClients, Millis{0});
  std::vector<std::jthread> readers;
  for (int c = 0; c < kClients; ++c) {
    auto stream = connect();
    auto request = kUpgrade;
    request.insert(request.size() - 2, name(c));
    ASSERT_TRUE(stream.send(request));
    ASSERT_TRUE(read_message(stream));
    moved.push_back(read_ws_frame(stream)->payload == "b");
    if (!moved.back()) continue;
    readers.emplace_back([&, c] {
      auto& socket = sockets[static_cast<std::size_t>(c)];
      const auto close = socket.next();
      when[static_cast<std::size_t>(c)] = std::chrono::duration_cast<Millis>(Steady::now() - from);
      EXPECT_TRUE(close && close->code() == 1012);
      if (close) socket.answer(*close);
      ++ended;
    });
  }
  for (auto& reader : readers) reader.join();
  const auto leavers = static_cast<int>(std::ranges::count(moved, true));
  ASSERT_GT(leavers, 3);
  ASSERT_LT(leavers, kClients);
  EXPECT_EQ(ended, leavers);
  const auto last = *std::ranges::max_element(when);
  EXPECT_GE(last, Millis{500}) << "all at once";
  for (int c = 0; c < kClients; ++c) {
    if (moved[static_cast<std::size_t>(c)]) continue;
    auto& socket = sockets[static_cast<std::size_t>(c)];
    ASSERT_TRUE(socket.say("mine"));
    EXPECT_EQ(socket.hear(), "mine") << "who has not moved is left alone";
  }
}

TEST_F(Moving, AtAShutdownTheyAreToldThatTheGatewayGoes) {
  start();
  auto socket = open("a");
  std::jthread stopping([&] { gateway.reset(); });
  const auto close = socket.next();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->code(), 1001);
  socket.answer(*close);
  EXPECT_TRUE(socket.stream.ended());
  stopping.join();
  EXPECT_EQ(on_a.codes(), std::vector<int>{1001});
}

TEST(Retirement, TellsOneClientAfterTheOther) {
  boost::asio::io_context io;
  const auto watchdog = std::make_shared<Watchdog>(io.get_executor());
  constexpr int kWatches = 8;
  constexpr Millis kWithin{800};
  std::vector<Steady::time_point> told;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < kWatches; ++i) {
    watches.push_back(std::make_unique<Watch>(watchdog, [&] { told.push_back(Steady::now()); }));
    if (i > 0) watches.back()->set_tells();
  }
  const auto from = Steady::now();
  watchdog->retire(kWithin);
  EXPECT_TRUE(watchdog->ending());
  while (told.size() < kWatches - 1 && Steady::now() < from + kPatient) io.run_one();
  ASSERT_EQ(told.size(), kWatches - 1U) << "who has nothing to tell is not ended";
  // Never before its turn, however late the watchdog looks.
  for (int turn = 0; turn < kWatches - 1; ++turn)
    EXPECT_GE(told[static_cast<std::size_t>(turn)] - from, kWithin * turn / (kWatches - 1)) << turn;
  watches.clear();
  io.run();
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
