// Instances that are sick or hostile: what each can make the gateway hold or do is bounded, and requests that are not
// theirs do not feel it.
#include "kinds/http/h2client/service.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

TEST_F(H2Upstream, AFloodOfFramesEndsTheConnection) {
  for (const std::uint8_t type : {kPing, kSettings, kWindowUpdate, kData, std::uint8_t{0x77}}) {
    SCOPED_TRACE(type);
    a.handle_connections([&](Stream& stream) {
      H2Peer peer(stream);
      auto* request = peer.next_head();
      if (!request) return;
      const auto id = request->stream;
      if (type == kData) peer.head(id, {{":status", "200"}}, false);
      const std::string payload = type == kPing ? "12345678" : type == kWindowUpdate ? uint32(1) : "";
      // More than a thousand, and what a tenth of a second of them would be forgiven.
      for (int i = 0; i < 20'000; ++i)
        if (!peer.send(type, 0, type == kData ? id : 0, payload)) break;
      while (peer.read()) {
      }
    });
    gateway.reset();
    start();
    const auto answer = get("/");
    if (type != kData) EXPECT_EQ(answer ? answer->status() : 0, 502);
    EXPECT_TRUE(eventually([&] { return a.open() == 0; }));
  }
}

TEST_F(H2Upstream, AHeaderSectionThatIsTooLongIsNotTaken) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    if (request.path() == "/big") {
      Fields fields{{":status", "200"}};
      for (int i = 0; i < 100; ++i) fields.emplace_back("x-" + std::to_string(i), std::string(1000, 'x'));
      peer.head(request.stream, fields);
    } else {
      peer.answer(request.stream, "fine");
    }
  });
  start();
  EXPECT_EQ(get("/big")->status(), 502);
  EXPECT_EQ(client()->ask(testing::get("/big")).status, 502);
  EXPECT_EQ(get("/")->body, "fine");
  EXPECT_EQ(a.connections(), 1U) << "only its own stream is over";
}

TEST_F(H2Upstream, AMalformedAnswerIsNotPassedOn) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    const auto path = request.path();
    Fields fields{{":status", "200"}};
    if (path == "/connection") fields.emplace_back("connection", "close");
    if (path == "/upper") fields.emplace_back("X-Upper", "1");
    if (path == "/line") fields.emplace_back("x-line", "a\r\nSet-Cookie: b=1");
    if (path == "/twice") fields.emplace_back(":status", "201");
    if (path == "/status") fields = {{":status", "2x0"}};
    if (path == "/101") fields = {{":status", "101"}};
    if (path == "/length") fields.emplace_back("content-length", "3");
    peer.head(request.stream, fields, false);
    peer.body(request.stream, path == "/length" ? "more than three" : "x");
  });
  start();
  for (const std::string path : {"/connection", "/upper", "/line", "/twice", "/status", "/101"}) {
    const auto answer = get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status(), 502) << path;
    EXPECT_EQ(answer->head.find("b=1"), std::string::npos);
    EXPECT_EQ(client()->ask(testing::get(path)).status, 502) << path;
  }
  const auto longer = client()->ask(testing::get("/length"));
  EXPECT_TRUE(longer.status == 502 || longer.reset) << longer.body;
  EXPECT_EQ(segment("browse").current.failures.protocol, 12U + (longer.status == 502));
}

TEST_F(H2Upstream, ASilentInstanceIsAskedAndThenTakenForDead) {
  listener().options["upstream_h2_ping_interval"] = "100ms";
  listener().options["upstream_h2_ping_timeout"] = "200ms";
  std::atomic<std::size_t> pings = 0;
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    peer.answers_pings = false;
    while (peer.read()) pings = peer.pings;
  });
  start();
  EXPECT_EQ(get("/")->status(), 502);
  EXPECT_EQ(pings, 1U);
}

TEST_F(H2Upstream, AnInstanceThatThinksForLongButLivesIsWaitedFor) {
  listener().options["upstream_h2_ping_interval"] = "50ms";
  listener().options["upstream_h2_ping_timeout"] = "10s";
  serve(a, [](H2Peer& peer, H2Request& request) {
    if (!peer.read_until([&] { return peer.pings >= 3; })) return;
    peer.answer(request.stream, "at last");
  });
  start();
  EXPECT_EQ(get("/")->body, "at last");
}

TEST_F(H2Upstream, AConnectionThatIsSilentPastATimeoutGetsNoMoreRequests) {
  listener().upstream_timeout = Millis{300};
  a.handle_connections([first = std::make_shared<std::atomic<bool>>(true)](Stream& stream) {
    H2Peer peer(stream);
    const bool dead = first->exchange(false);
    while (auto* request = peer.next())
      if (!dead) peer.answer(request->stream, "alive");
  });
  start();
  EXPECT_EQ(get("/")->status(), 504);
  // The acknowledgement of our settings may be a word that came after the first request.
  auto answer = get("/");
  if (answer->status() == 504) answer = get("/");
  EXPECT_EQ(answer->body, "alive");
}

TEST_F(H2Upstream, MoreInterimAnswersThanMakeSenseAreNotTaken) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    for (int i = 0; i < 100; ++i) peer.head(request.stream, {{":status", "103"}}, false);
    peer.answer(request.stream, "x");
  });
  start();
  EXPECT_EQ(client()->ask(testing::get("/")).status, 502);
}

TEST_F(H2Upstream, ABodyPastItsWindowEndsTheConnection) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "200"}}, false);
    for (int i = 0; i < 2000; ++i)
      if (!peer.send(kData, 0, request.stream, std::string(16'384, 'x'))) return;
  });
  listener().idle_timeout = Millis{500};
  start();
  auto c = client();
  c->automatic = false;
  const auto answer = c->ask(testing::get("/"));
  EXPECT_TRUE(answer.reset) << "a stream that overflows its window is over";
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
