// Bodies between HTTP/2 and instances: windows both ways, nobody waits for a stranger, both directions at once.
#include <chrono>

#include "kinds/http/h2client/service.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

constexpr std::uint16_t kInitialWindow = 4;

std::string pattern(std::size_t bytes) {
  std::string made(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) made[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return made;
}

TEST_F(H2Upstream, LongBodiesPassWholeBothWays) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "200"}}, false);
    peer.body(request.stream, request.body);
  });
  start();
  const auto body = pattern(3 << 20);
  const auto answer = post_http1("/orders", body);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == body);
  EXPECT_TRUE(client()->ask(post("/orders"), body).body == body);
}

TEST_F(H2Upstream, AClientThatDoesNotReadStopsItsInstanceAndNobodyElse) {
  constexpr std::size_t kWindow = 65'535;
  listener().options["upstream_h2_stream_window"] = std::to_string(kWindow);
  const auto body = pattern(4 << 20);
  std::atomic<std::int64_t> sent = 0;
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    std::uint32_t slow = 0;
    std::string_view left = body;
    for (;;) {
      if (slow != 0)
        while (!left.empty() && peer.window(slow) > 0) {
          const auto n = std::min<std::size_t>({left.size(), 16'384, static_cast<std::size_t>(peer.window(slow))});
          if (!peer.body(slow, left.substr(0, n), n == left.size())) return;
          left.remove_prefix(n);
          sent += static_cast<std::int64_t>(n);
        }
      const auto frame = peer.read();
      if (!frame) return;
      if (frame->type != kHeaders) continue;
      const auto* request = peer.next_head();
      if (request->path() == "/slow") {
        slow = request->stream;
        peer.head(slow, {{":status", "200"}}, false);
      } else {
        peer.answer(request->stream, request->path());
      }
    }
  });
  start();
  auto c = client({{kInitialWindow, 1000}});
  c->automatic = false;
  const auto slow = c->next_stream();
  c->head(slow, testing::get("/slow"));
  ASSERT_TRUE(eventually([&] { return sent >= static_cast<std::int64_t>(kWindow); }));
  // Others of the same connection to the instance, by the same client and by another.
  for (int i = 0; i < 50; ++i) EXPECT_EQ(c->ask(testing::get("/quick")).body, "/quick");
  EXPECT_EQ(get("/other")->body, "/other");
  EXPECT_EQ(a.connections(), 1U);
  EXPECT_LE(sent, static_cast<std::int64_t>(3 * kWindow)) << "what waits here and with the client";
  c->automatic = true;
  c->update(slow, 8 << 20);
  c->update(0, 8 << 20);
  EXPECT_TRUE(c->await(slow).body == body);
}

TEST_F(H2Upstream, AnInstanceThatDoesNotReadStopsItsClient) {
  std::atomic<bool> go = false;
  std::atomic<std::size_t> got = 0;
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    peer.gives_windows = false;
    auto* request = peer.next_head();
    const auto id = request->stream;
    while (!go && peer.request(id).body.size() < 65'535)
      if (!peer.read()) return;
    got = peer.request(id).body.size();
    a.stall();
    peer.gives_windows = true;
    peer.send(kWindowUpdate, 0, 0, uint32(1 << 24));
    peer.send(kWindowUpdate, 0, id, uint32(1 << 24));
    if (!peer.read_until([&] { return peer.request(id).ended; })) return;
    peer.answer(id, std::to_string(peer.request(id).body.size()));
  });
  start();
  auto c = client();
  const auto id = c->next_stream();
  c->head(id, post("/orders"), false);
  const std::string body(4 << 20, 'x');
  std::size_t sent = 0;
  // As much as the gateway lets it.
  const auto push = [&] {
    while (sent < body.size() && c->window(id) > 0) {
      const auto n = std::min<std::size_t>(static_cast<std::size_t>(c->window(id)), body.size() - sent);
      c->body(id, body.substr(sent, n), false);
      sent += n;
    }
  };
  push();
  ASSERT_TRUE(eventually([&] {
    push();
    c->round_trip();
    return got == 65'535;
  }));
  for (int i = 0; i < 20; ++i) {
    c->round_trip();
    push();
  }
  EXPECT_LT(sent, std::size_t{1} << 20);
  a.release();
  c->body(id, body.substr(sent), true);
  EXPECT_EQ(c->await(id).body, std::to_string(body.size()));
}

TEST_F(H2Upstream, BothDirectionsGoOnAtOnce) {
  a.handle_connections([](Stream& stream) {
    H2Peer peer(stream);
    auto* request = peer.next_head();
    if (!request) return;
    const auto id = request->stream;
    peer.head(id, {{":status", "200"}, {"content-type", "application/grpc"}}, false);
    std::size_t echoed = 0;
    for (;;) {
      auto& body = peer.request(id).body;
      if (body.size() > echoed) {
        if (!peer.body(id, std::string(body, echoed), false)) return;
        echoed = body.size();
      }
      if (peer.request(id).ended) break;
      if (!peer.read()) return;
    }
    peer.head(id, {{"grpc-status", "0"}});
    while (peer.read()) {
    }
  });
  start();
  auto c = client();
  const auto id = c->next_stream();
  c->head(id, post("/chat", {{"content-type", "application/grpc"}, {"te", "trailers"}}), false);
  std::string said;
  for (int i = 0; i < 20; ++i) {
    const auto word = "word " + std::to_string(i) + ";";
    said += word;
    c->body(id, word, false);
    ASSERT_TRUE(c->await_frame([&](const Frame&) { return c->answer(id).body == said; })) << i;
  }
  c->body(id, "");
  const auto answer = c->await(id);
  EXPECT_EQ(answer.trailers.at("grpc-status"), "0");
  EXPECT_EQ(answer.body, said);
}

TEST_F(H2Upstream, AClientOfHttp1MaySendOnWhileItIsAnswered) {
  a.handle_connections([](Stream& stream) {
    H2Peer peer(stream);
    auto* request = peer.next_head();
    if (!request) return;
    const auto id = request->stream;
    peer.head(id, {{":status", "200"}}, false);
    peer.body(id, "begun ", false);
    if (!peer.read_until([&] { return peer.request(id).ended; })) return;
    peer.body(id, std::to_string(peer.request(id).body.size()));
    while (peer.read()) {
    }
  });
  start();
  auto stream = connect();
  // More than is read ahead, so that the instance has it before it is whole.
  const std::string first(100 << 10, 'x');
  stream.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: " + std::to_string(2 * first.size()) +
              "\r\n\r\n" + first);
  ASSERT_TRUE(stream.read_until("begun "));
  stream.send(first);
  EXPECT_TRUE(stream.read_until(std::to_string(2 * first.size())));
}

TEST_F(H2Upstream, AnAnswerBeforeTheEndOfTheBodyStopsIt) {
  a.handle_connections([](Stream& stream) {
    H2Peer peer(stream);
    while (auto* request = peer.next_head()) {
      peer.head(request->stream, {{":status", "403"}, {"content-length", "2"}}, false);
      peer.body(request->stream, "no");
      peer.reset(request->stream, 0);
    }
  });
  start();
  auto stream = connect();
  stream.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 10000000\r\n\r\n" + std::string(200'000, 'x'));
  const auto answer = read_message(stream);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 403);
  EXPECT_EQ(answer->body, "no");
  auto c = client();
  const auto id = c->next_stream();
  c->head(id, post("/orders"), false);
  c->body(id, std::string(100'000, 'x'), false);
  const auto refused = c->await(id);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.body, "no");
}

TEST_F(H2Upstream, AClientThatGivesUpFreesTheInstance) {
  std::atomic<bool> freed = false;
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    auto* request = peer.next();
    const auto id = request->stream;
    peer.head(id, {{":status", "200"}}, false);
    peer.body(id, "begun", false);
    peer.read_until([&] { return peer.request(id).reset.has_value(); });
    freed = peer.request(id).reset == 8;
  });
  start();
  auto c = client();
  const auto id = c->next_stream();
  c->head(id, testing::get("/"));
  ASSERT_TRUE(c->await_frame([&](const Frame&) { return c->answer(id).body == "begun"; }));
  c->send(kRstStream, 0, id, uint32(8));
  EXPECT_TRUE(eventually([&] { return freed.load(); }));
}

TEST_F(H2Upstream, AnAnswerThatIsCutDoesNotLookWhole) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "200"}}, false);
    peer.body(request.stream, "half", false);
    peer.reset(request.stream, 2);
  });
  start();
  auto stream = connect();
  stream.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
  bool reset = false;
  EXPECT_EQ(stream.read_all(&reset).find("0\r\n\r\n"), std::string::npos);
  EXPECT_TRUE(reset);
  const auto answer = client()->ask(testing::get("/"));
  EXPECT_FALSE(answer.ended);
  EXPECT_EQ(answer.reset, 2U);
  EXPECT_EQ(segment("browse").current.failures.reset, 2U);
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
