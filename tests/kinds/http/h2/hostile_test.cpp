// Clients that mean harm: each of these floods is cheap to send, and must cost its sender the connection and nobody
// else anything.
#include <sys/socket.h>

#include <chrono>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

constexpr std::uint32_t kNoError = 0, kStreamClosed = 5, kCancel = 8, kCalm = 11;

struct H2Hostile : Rig {
  static Fields get(const std::string& path, const Fields& more = {}) { return testing::get(path, more); }
  std::unique_ptr<H2Client> client(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings = {}) {
    return std::make_unique<H2Client>(connect(), settings);
  }
  // The connection is ended with this code, and another client is served all the same.
  void expect_ended(H2Client& c, std::uint32_t code, const char* what) {
    const auto goaway = c.await_goaway();
    ASSERT_TRUE(goaway) << what;
    EXPECT_EQ(goaway->code(), code) << what;
    while (c.await_frame([](const Frame&) { return true; })) {
    }
    EXPECT_EQ(client()->ask(get("/")).status, 200) << what;
    EXPECT_TRUE(eventually([&] { return report().sessions == 0 && report().in_flight == 0; })) << what;
  }
};

TEST_F(H2Hostile, RapidReset) {
  listener().options["h2_resets_max"] = "50";
  start();
  auto c = client();
  for (int i = 0; i < 500; ++i) {
    const auto stream = c->next_stream();
    c->head(stream, get("/"));
    if (!c->send(kRstStream, 0, stream, uint32(kCancel))) break;
  }
  expect_ended(*c, kCalm, "rapid reset");
  EXPECT_LE(a.count(), 101u) << "the service was spared";
}

TEST_F(H2Hostile, ResetsThatWeAreMadeToSend) {
  listener().options["h2_resets_max"] = "50";
  start();
  auto c = client();
  for (int i = 0; i < 500; ++i)
    if (const auto stream = c->next_stream();
        !c->send(kHeaders, kEndHeaders | kEndStream, stream, c->pack({{"x", "y"}})))
      break;
  expect_ended(*c, kCalm, "malformed requests without end");
}

TEST_F(H2Hostile, FloodsOfFramesThatDoNothing) {
  start();
  const std::string settings_entry("\0\4\0\1\0\0", 6);
  struct Flood {
    const char* what;
    std::uint8_t type;
    std::uint32_t stream;
    std::string payload;
  };
  for (const auto& flood :
       {Flood{"PING", kPing, 0, "01234567"}, Flood{"SETTINGS", kSettings, 0, settings_entry},
        Flood{"empty SETTINGS", kSettings, 0, ""}, Flood{"PRIORITY", kPriority, 1, std::string("\0\0\0\0\1", 5)},
        Flood{"WINDOW_UPDATE", kWindowUpdate, 0, uint32(1)}, Flood{"unknown", 0xbe, 0, "x"}}) {
    auto c = client();
    for (int i = 0; i < 20'000; ++i)
      if (!c->send(flood.type, 0, flood.stream, flood.payload)) break;
    expect_ended(*c, kCalm, flood.what);
  }
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, testing::post("/orders"), false);
  for (int i = 0; i < 20'000; ++i)
    if (!c->send(kData, 0, stream)) break;
  expect_ended(*c, kCalm, "empty DATA");
}

TEST_F(H2Hostile, AFloodThatIsNotRead) {
  listener().idle_timeout = Millis{1000};
  start();
  auto c = client();
  c->raw().set_receive_buffer(4096);
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += std::string("\0\0\x08\x06\0\0\0\0\0" "01234567", 17);
  ASSERT_TRUE(eventually([&] { return report().sessions == 1; }));
  // Whether anybody reads or not, the kernel takes megabytes of them: a send that fails would say nothing.
  EXPECT_TRUE(eventually([&] {
    static_cast<void>(::send(c->raw().fd(), pings.data(), pings.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    return report().sessions == 0;
  }));
}

TEST_F(H2Hostile, HeaderBlocksWithoutEnd) {
  start();
  {
    auto c = client();
    ASSERT_TRUE(c->round_trip());
    c->send(kHeaders, kEndStream, 1, c->pack(get("/")));
    for (int i = 0; i < 1000; ++i)
      if (!c->send(kContinuation, 0, 1)) break;
    expect_ended(*c, kCalm, "CONTINUATION");
  }
  {
    auto c = client();
    ASSERT_TRUE(c->round_trip());
    c->send(kHeaders, kEndStream, 1, c->pack(get("/")));
    for (int i = 0; i < 8; ++i)
      if (!c->send(kContinuation, 0, 1, c->pack({{"x-" + std::to_string(i), std::string(16'000, '~')}}))) break;
    expect_ended(*c, kCalm, "large CONTINUATION");
  }
  {
    // One field of 3 KB in HPACK's table (a larger one would not be put there), meant ten thousand times by a byte each.
    auto c = client();
    ASSERT_TRUE(c->round_trip());
    c->send(kHeaders, kEndStream, 1,
            c->pack(get("/", {{"x-bomb", std::string(2900, 'b')}})) + std::string(10'000, '\xbe'));
    expect_ended(*c, kCalm, "HPACK bomb");
  }
  EXPECT_LE(a.count(), 3u);
}

TEST_F(H2Hostile, FramesOnClosedStreams) {
  start();
  auto c = client();
  EXPECT_EQ(c->ask(get("/")).status, 200);
  c->send(kData, kEndStream, 1, "late");
  expect_ended(*c, kStreamClosed, "DATA after the end");
  auto d = client();
  EXPECT_EQ(d->ask(get("/")).status, 200);
  d->head(1, get("/again"));
  expect_ended(*d, kStreamClosed, "HEADERS after the end");
  auto e = client();
  e->head(5, get("/"));
  EXPECT_EQ(e->await(5).status, 200);
  e->head(3, get("/"));
  expect_ended(*e, 1, "a stream id that goes backwards");
}

TEST_F(H2Hostile, SlowOnes) {
  listener().header_timeout = Millis{200};
  listener().idle_timeout = Millis{600};
  start();
  {
    auto c = connect();
    c.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    c.read_all();
  }
  {
    auto c = client();
    ASSERT_TRUE(c->round_trip());
    c->send(kHeaders, kEndStream, 1, c->pack(get("/")));
    expect_ended(*c, kCalm, "a header block that does not end");
  }
  {
    auto c = client();
    // Talking is not working.
    ASSERT_TRUE(c->round_trip());
    expect_ended(*c, kNoError, "idle");
  }
  {
    auto c = client();
    const auto stream = c->next_stream();
    c->head(stream, testing::post("/orders"), false);
    c->body(stream, "he", false);
    EXPECT_EQ(c->await(stream).status, 408) << "a body that does not come";
  }
  {
    auto c = client();
    const auto stream = c->next_stream();
    c->head(stream, testing::post("/orders"), false);
    c->body(stream, std::string(200'000, 'x'), false);
    EXPECT_EQ(c->await(stream).reset, kCancel) << "nor the rest of one";
  }
  {
    a.handle([](const Message&, Stream&) { return Backend::Reply{ok(std::string(1'000'000, 'x'))}; });
    auto c = client();
    c->automatic = false;
    const auto stream = c->next_stream();
    c->head(stream, get("/"));
    EXPECT_EQ(c->await(stream).reset, kCancel) << "an answer that is not taken";
  }
  EXPECT_TRUE(eventually([&] { return report().sessions == 0 && report().in_flight == 0; }));
  EXPECT_EQ(segment("browse").current.errors + segment("orders").current.errors, 0u);
}

TEST_F(H2Hostile, OneClientThatDoesNotReadHoldsUpNobody) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{m.target() == "/big" ? ok(std::string(20'000'000, 'x')) : ok("small")};
  });
  listener().idle_timeout = Millis{1500};
  start();
  auto lazy = client({{4, 0x7fffffff}});
  lazy->raw().set_receive_buffer(4096);
  lazy->update(0, 0x7fff0000);
  lazy->head(1, get("/big"));
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  auto c = client();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(c->ask(get("/")).body, "small");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 0; })) << "it was given up after its timeout";
}

TEST_F(H2Hostile, ClientsThatVanishLeaveNothing) {
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("late")};
  });
  start();
  for (int i = 0; i < 10; ++i) {
    auto c = client();
    c->head(1, i % 2 ? get("/") : testing::post("/orders"), i % 2);
    if (i % 2) ASSERT_TRUE(eventually([&] { return report().in_flight > 0; }));
    c->raw().reset();
  }
  ASSERT_TRUE(eventually([&] { return report().sessions == 0 && report().in_flight == 0; }))
      << "although the service never answered";
  a.release();
}

}  // namespace
}  // namespace foreshadow::kinds::http
