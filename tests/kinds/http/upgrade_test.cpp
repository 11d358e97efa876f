// Connections that become something else than HTTP: what passes, and in which order it ends.
#include <sys/socket.h>

#include "kinds/http/tls_rig.hpp"
#include "kinds/http/websocket.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

const std::string kChat = "GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n\r\n";
const std::string kChatSwitch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n\r\n";

struct Upgrade : TlsRig {
  WsEcho echo{a};
  WebSocket open(Stream stream, const std::string& greeting = "a") {
    EXPECT_TRUE(stream.send(kUpgrade));
    const auto answer = read_message(stream);
    EXPECT_TRUE(answer && answer->status() == 101) << (answer ? answer->head : "no answer");
    WebSocket socket{std::move(stream)};
    EXPECT_EQ(socket.hear(), greeting);
    return socket;
  }
  void chat(std::function<void(Stream&)> service) {
    a.handle([service = std::move(service)](const Message&, Stream& stream) {
      if (stream.send(kChatSwitch)) service(stream);
      return Backend::Reply{"", true};
    });
  }
  Stream open_chat() {
    auto stream = connect();
    EXPECT_TRUE(stream.send(kChat));
    const auto answer = read_message(stream);
    EXPECT_TRUE(answer && answer->status() == 101) << (answer ? answer->head : "no answer");
    return stream;
  }
};

TEST_F(Upgrade, PassesOfferAndAnswerAndThenWhateverIsSaid) {
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(kUpgrade));
  const auto answer = read_message(stream);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 101);
  EXPECT_EQ(answer->field("connection"), "Upgrade");
  EXPECT_EQ(answer->field("upgrade"), "websocket");
  EXPECT_EQ(answer->field("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_FALSE(answer->fields.contains("content-length"));
  const auto seen = a.requests().at(0);
  EXPECT_EQ(seen.field("connection"), "Upgrade");
  EXPECT_EQ(seen.field("upgrade"), "websocket");
  EXPECT_EQ(seen.field("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(seen.field("sec-websocket-version"), "13");
  EXPECT_EQ(seen.field("x-forwarded-for"), "127.0.0.1");

  WebSocket socket{std::move(stream)};
  EXPECT_EQ(socket.hear(), "a");
  ASSERT_TRUE(socket.say("hello"));
  EXPECT_EQ(socket.hear(), "hello");
  ASSERT_TRUE(socket.stream.send(to_bytes({true, kWsPing, "?"}, true)));
  const auto pong = socket.next();
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->opcode, kWsPong);
  EXPECT_EQ(report().in_flight, 1);
  EXPECT_EQ(segment("browse").current.requests, 1U) << "counted when it begins";
  ASSERT_TRUE(socket.answer({true, kWsClose, "\x03\xe8"}));
  EXPECT_EQ(socket.next()->code(), 1000);
  EXPECT_TRUE(socket.stream.ended());
  socket.stream.end_sending();
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0 && report().sessions == 0; }));
}

TEST_F(Upgrade, LargeAndFragmentedFramesPassAsTheyAre) {
  start();
  auto socket = open(connect());
  std::string large(3 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 251);
  std::jthread sender([&] {
    socket.stream.send(to_bytes({false, kWsBinary, large}, true) + to_bytes({true, kWsPing, "p"}, true) +
                       to_bytes({false, kWsContinuation, ""}, true) + to_bytes({true, kWsContinuation, "end"}, true));
  });
  const auto first = socket.next(), ping = socket.next(), second = socket.next(), third = socket.next();
  sender.join();
  ASSERT_TRUE(first && ping && second && third);
  EXPECT_TRUE(first->payload == large);
  EXPECT_FALSE(first->fin);
  EXPECT_EQ(ping->opcode, kWsPong);
  EXPECT_EQ(second->opcode, kWsContinuation);
  EXPECT_EQ(third->payload, "end");
}

// What a client sends before it has the answer belongs to the new protocol, if there is one.
TEST_F(Upgrade, WhatComesTooEarlyComesFirst) {
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(kUpgrade + to_bytes({true, kWsText, "early"}, true)));
  ASSERT_TRUE(read_message(stream));
  WebSocket socket{std::move(stream)};
  EXPECT_EQ(socket.hear(), "a");
  EXPECT_EQ(socket.hear(), "early");
}

TEST_F(Upgrade, OneDirectionMayEndByItself) {
  chat([](Stream& stream) { stream.send("all: " + stream.read_all()); });
  start();
  auto client = open_chat();
  ASSERT_TRUE(client.send("one two"));
  client.end_sending();
  bool reset = false;
  EXPECT_EQ(client.read_all(&reset), "all: one two");
  EXPECT_FALSE(reset);

  chat([](Stream& stream) {
    stream.send("that is all");
    stream.end_sending();
    stream.read_until("thanks");
  });
  auto other = open_chat();
  EXPECT_EQ(other.read_all(), "that is all");
  EXPECT_EQ(report().in_flight, 1);
  ASSERT_TRUE(other.send("thanks"));
  other.end_sending();
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0; }));
}

TEST_F(Upgrade, AResetIsPassedOnAsOne) {
  std::atomic<bool> seen = false;
  chat([&](Stream& stream) {
    bool reset = false;
    stream.send("ready");
    stream.read_all(&reset);
    seen = reset;
  });
  start();
  auto client = open_chat();
  ASSERT_TRUE(client.read_exactly(5));
  client.reset();
  EXPECT_TRUE(eventually([&] { return seen.load(); }));

  chat([](Stream& stream) {
    stream.read_exactly(2);
    stream.reset();
  });
  auto other = open_chat();
  ASSERT_TRUE(other.send("go"));
  bool reset = false;
  other.read_all(&reset);
  EXPECT_TRUE(reset);
}

TEST_F(Upgrade, AReaderThatStopsHoldsItsSenderUp) {
  constexpr std::size_t kMost = 64 << 20;
  std::atomic<std::size_t> sent = 0;
  std::atomic<bool> stuck = false;
  chat([&](Stream& stream) {
    const timeval moment{0, 500'000};
    setsockopt(stream.fd(), SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
    const std::string piece(64 << 10, 'x');
    while (sent < kMost) {
      const auto n = ::send(stream.fd(), piece.data(), piece.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    stuck = true;
  });
  start();
  auto client = open_chat();
  ASSERT_TRUE(eventually([&] { return stuck.load(); }));
  EXPECT_LT(sent, kMost) << "the gateway took it all";
  // And nothing of what it did take is lost.
  EXPECT_EQ(client.read_all().size(), sent);
}

TEST_F(Upgrade, AnAnswerThatIsNoSwitchIsAnAnswer) {
  a.handle([](const Message& m, Stream&) {
    if (m.target() == "/other") return Backend::Reply{ok("other")};
    return Backend::Reply{
        "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: other/2\r\n"
        "Content-Length: 2\r\n\r\nno"};
  });
  start();
  auto client = connect();
  // The request behind it is one: the offer was declined, and nothing of it may be taken for a tunnel.
  ASSERT_TRUE(client.send(kUpgrade + "GET /other HTTP/1.1\r\nHost: shop\r\n\r\n"));
  const auto declined = read_message(client), second = read_message(client);
  ASSERT_TRUE(declined && second);
  EXPECT_EQ(declined->status(), 426);
  EXPECT_EQ(declined->field("upgrade"), "other/2");
  EXPECT_EQ(declined->field("connection"), "Upgrade");
  EXPECT_EQ(declined->body, "no");
  EXPECT_EQ(second->body, "other");
  EXPECT_FALSE(a.requests().at(1).fields.contains("upgrade"));

  for (const int code : {200, 400, 503}) {
    a.handle([code](const Message&, Stream&) { return Backend::Reply{status(code, "plain")}; });
    const auto answer = ask(kUpgrade);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status(), code);
    EXPECT_EQ(answer->body, "plain");
  }
}

TEST_F(Upgrade, ASwitchToSomethingElseIsABadAnswer) {
  start();
  for (const std::string fields :
       {"Connection: Upgrade\r\nUpgrade: chat/1\r\n", "Connection: Upgrade\r\n", "Upgrade: websocket\r\n", "",
        "Connection: Upgrade\r\nUpgrade: websocket, chat/1\r\n"}) {
    a.handle([&](const Message&, Stream&) {
      return Backend::Reply{"HTTP/1.1 101 Switching Protocols\r\n" + fields + "\r\nHTTP/1.1 200 OK\r\n\r\n", true};
    });
    const auto answer = ask(kUpgrade);
    ASSERT_TRUE(answer) << fields;
    EXPECT_EQ(answer->status(), 502) << fields;
  }
}

TEST_F(Upgrade, AnOfferInHttp10IsIgnored) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("plain")}; });
  start();
  EXPECT_EQ(ask("GET / HTTP/1.0\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")->status(), 200);
  EXPECT_FALSE(a.requests().at(0).fields.contains("upgrade"));
}

TEST_F(Upgrade, ABodyComesFirst) {
  chat([](Stream& stream) { stream.send("hi"); });
  start();
  const std::string head = "POST /orders HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n";
  {
    auto client = connect();
    ASSERT_TRUE(client.send(head + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    EXPECT_EQ(read_message(client)->status(), 100);
    ASSERT_TRUE(client.send("hello"));
    EXPECT_EQ(read_message(client)->status(), 101);
    EXPECT_EQ(client.read_all(), "hi");
    EXPECT_EQ(a.requests().at(0).body, "hello");
    EXPECT_FALSE(a.requests().at(0).fields.contains("expect"));
  }
  a.handle([](const Message& m, Stream&) { return Backend::Reply{ok(std::to_string(m.body.size()))}; });
  const std::string body(200'000, 'x');
  const auto answer = ask(head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "200000") << "too much to keep: an ordinary request";
  EXPECT_FALSE(a.requests().at(1).fields.contains("upgrade"));
}

TEST_F(Upgrade, IsNeitherMirroredNorSentTwice) {
  start();
  apply(split(0, 1));
  // A connection that is kept, and closed just when it is used, is where others would try again.
  a.handle([](const Message& m, Stream&) {
    return m.target() == "/warm" ? Backend::Reply{ok("warm")} : Backend::Reply{"", true};
  });
  ASSERT_TRUE(get("/warm"));
  ASSERT_TRUE(eventually([&] { return segment("browse").mirror.sent == 1; }));
  const auto answer = ask(kUpgrade);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 502);
  EXPECT_EQ(a.count(), 2U);
  for (const auto& mirrored : b.requests()) EXPECT_EQ(mirrored.target(), "/warm");
  EXPECT_EQ(segment("browse").mirror.sent + segment("browse").mirror.dropped, 1U);
}

TEST_F(Upgrade, SilenceIsEndedAfterTheIdleTimeout) {
  listener().idle_timeout = Millis{200};
  start();
  auto socket = open(connect());
  bool reset = false;
  socket.stream.read_all(&reset);
  EXPECT_FALSE(reset);
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0 && a.open() == 0; }));
}

TEST_F(Upgrade, UnderTlsOnBothSides) {
  TlsDoor door({.is = &shop});
  a.handle_arrivals([&](int fd) { return door.open(fd); });
  listener().options["upstream_tls"] = "insecure";
  serve_tls();
  start();
  {
    auto [tls, stream] = connect_tls(port, client());
    auto socket = open(std::move(stream));
    const std::string large(1 << 20, 'l');
    std::jthread sender([&] { socket.say(large); });
    EXPECT_TRUE(socket.hear() == large);
    sender.join();
    ASSERT_TRUE(socket.answer({true, kWsClose, "\x03\xe8"}));
    EXPECT_EQ(socket.next()->code(), 1000);
    EXPECT_TRUE(socket.stream.ended());
    EXPECT_EQ(tls->end(), TlsEnd::End::clean);
  }
  auto [tls, stream] = connect_tls(port, client());
  auto socket = open(std::move(stream));
  std::jthread holder([&] {
    const auto ack = hold(1);
    EXPECT_TRUE(ack) << ack.error().what;
  });
  const auto close = socket.next();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->code(), 1012);
  ASSERT_TRUE(socket.answer(*close));
  EXPECT_TRUE(socket.stream.ended());
  EXPECT_EQ(tls->end(), TlsEnd::End::clean);
  holder.join();
  EXPECT_EQ(echo.codes(), (std::vector<int>{1000, 1012}));
  gateway.reset();
  a.end();
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
