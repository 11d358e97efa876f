// What the requests of one connection use one after another: the streams, the coroutines that serve them, the
// instances' connections. Nothing of one may be met by the next, and nobody waits for a client that does not take its
// answer.
#include <chrono>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

constexpr std::uint32_t kCancel = 8;
constexpr std::uint16_t kInitialWindow = 4;

struct H2Reuse : Rig {
  static Fields get(const std::string& path, const Fields& more = {}) { return testing::get(path, more); }
  std::unique_ptr<H2Client> client(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings = {}) {
    return std::make_unique<H2Client>(connect(), settings);
  }
  // One that takes no byte of a body until update().
  std::unique_ptr<H2Client> closed_client() {
    auto c = client({{kInitialWindow, 0}});
    c->automatic = false;
    EXPECT_TRUE(c->round_trip());
    return c;
  }
};

TEST_F(H2Reuse, TheEndOfAnAnswerWaitsForItsClientAlone) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("small")}; });
  start();
  auto c = closed_client();
  c->head(1, get("/"));
  ASSERT_TRUE(c->await_frame([](const Frame& f) { return f.type == kHeaders; }));
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0; })) << "although nothing was taken";
  EXPECT_EQ(client()->ask(get("/")).body, "small");
  EXPECT_EQ(a.connections(), 1u) << "the instance's connection was free";
  c->update(1, 1000);
  EXPECT_EQ(c->await(1).body, "small");
}

TEST_F(H2Reuse, WhatIsKeptForAClientIsLimited) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok(std::string(30'000, 'x'))}; });
  start();
  auto c = closed_client();
  for (const std::uint32_t stream : {1, 3, 5}) c->head(stream, get("/"));
  ASSERT_TRUE(eventually([&] { return a.count() == 3 && report().in_flight == 1; }))
      << "the third waits for its client";
  EXPECT_TRUE(c->round_trip());
  EXPECT_EQ(report().in_flight, 1u);
  c->automatic = true;
  for (const std::uint32_t stream : {1, 3, 5}) c->update(stream, 100'000);
  c->update(0, 100'000);
  for (const std::uint32_t stream : {1, 3, 5}) EXPECT_EQ(c->await(stream).body.size(), 30'000u);
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0; }));
}

TEST_F(H2Reuse, ARequestsTimeReachesToTheLastByte) {
  for (auto& match : listener().matches) match.options["request_timeout"] = "300ms";
  listener().idle_timeout = Millis{600'000};
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("small")}; });
  start();
  auto c = closed_client();
  c->head(1, get("/"));
  EXPECT_EQ(c->await(1).reset, kCancel);
}

TEST_F(H2Reuse, WhoIsOnlyEverAnsweredByTheGatewayIsNotIdle) {
  listener().idle_timeout = Millis{1500};
  start();
  auto c = client();
  auto asks = get("/", {{"max-forwards", "0"}});
  for (auto& [name, value] : asks)
    if (name == ":method") value = "OPTIONS";
  for (const auto until = std::chrono::steady_clock::now() + Millis{3500}; std::chrono::steady_clock::now() < until;)
    ASSERT_EQ(c->ask(asks).status, 200);
  EXPECT_TRUE(a.requests().empty());
}

// The workers of a burst are let go a second or two later; their connection may end meanwhile.
TEST_F(H2Reuse, WorkersThatRestOutliveNothing) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok(m.target())};
  });
  start();
  auto c = client();
  std::vector<std::uint32_t> streams;
  for (int n = 0; n < 10; ++n) c->head(streams.emplace_back(c->next_stream()), get("/quick"));
  for (const auto stream : streams) EXPECT_EQ(c->await(stream).body, "/quick");
  const auto tidied = std::chrono::steady_clock::now() + Millis{1200};
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > tidied; }));
  c->head(c->next_stream(), get("/slow"));
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  c.reset();
  EXPECT_TRUE(eventually([&] { return report().sessions == 0; }));
  a.release();
  EXPECT_EQ(client()->ask(get("/quick")).body, "/quick");
}

TEST_F(H2Reuse, WhatIsNeverTakenIsGivenUp) {
  listener().idle_timeout = Millis{300};
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("small")}; });
  start();
  auto c = closed_client();
  c->head(1, get("/"));
  c->head(3, get("/", {{"expect", "miracles"}}));
  EXPECT_EQ(c->await(1).reset, kCancel) << "an instance's answer";
  EXPECT_EQ(c->await(3).reset, kCancel) << "and one of our own";
  EXPECT_EQ(c->answer(3).status, 417);
  EXPECT_TRUE(eventually([&] { return report().sessions == 0; }));
}

TEST_F(H2Reuse, NothingIsLeftOfTheOneBefore) {
  a.handle([](const Message& m, Stream&) {
    if (m.target() == "/trailers")
      return Backend::Reply{
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-End: secret\r\n\r\n"};
    const bool full = m.target() == "/full";
    return Backend::Reply{ok(m.head + "|" + m.body, full ? "X-Full: 1\r\n" : "")};
  });
  start();
  auto c = client();
  for (int i = 0; i < 20; ++i) {
    const auto full = c->ask(post("/full", {{"cookie", "secret=1"}, {"x-a", "secret"}, {"te", "trailers"}}), "secret");
    EXPECT_EQ(full.fields.at("x-full"), "1");
    EXPECT_NE(full.body.find("cookie: secret=1"), std::string::npos) << full.body;
    EXPECT_TRUE(full.body.ends_with("|secret")) << full.body;
    EXPECT_EQ(c->ask(get("/trailers")).trailers.at("x-end"), "secret");
    const auto plain = c->ask(get("/plain"));
    EXPECT_TRUE(plain.trailers.empty());
    EXPECT_EQ(plain.status, 200);
    EXPECT_FALSE(plain.fields.contains("x-full"));
    EXPECT_EQ(plain.body.find("secret"), std::string::npos) << plain.body;
    EXPECT_EQ(plain.body.find("trailers"), std::string::npos) << plain.body;
    EXPECT_TRUE(plain.body.ends_with("|")) << plain.body;
  }
}

TEST_F(H2Reuse, WhoWasGivenUpDoesNotSpoilTheNext) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok(m.target())};
  });
  start();
  auto c = client();
  for (int i = 0; i < 4; ++i) {
    std::vector<std::uint32_t> slow;
    for (int n = 0; n < 5; ++n) c->head(slow.emplace_back(c->next_stream()), get("/slow"));
    ASSERT_TRUE(eventually([&] { return report().in_flight == 5; }));
    for (const auto stream : slow) c->send(kRstStream, 0, stream, uint32(kCancel));
    EXPECT_EQ(c->ask(get("/quick")).body, "/quick");
    ASSERT_TRUE(eventually([&] { return report().in_flight == 0; }));
  }
  a.release();
}

TEST_F(H2Reuse, ManyAtOnceThenOneAfterAnother) {
  a.handle([](const Message& m, Stream&) { return Backend::Reply{ok(m.target())}; });
  start();
  auto c = client();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint32_t> streams;
    for (int n = 0; n < 50; ++n) {
      const auto stream = streams.emplace_back(c->next_stream());
      c->head(stream, get("/" + std::to_string(stream)));
    }
    for (const auto stream : streams) EXPECT_EQ(c->await(stream).body, "/" + std::to_string(stream));
    for (int n = 0; n < 50; ++n) {
      const auto path = "/then-" + std::to_string(n);
      EXPECT_EQ(c->ask(get(path)).body, path);
    }
  }
  EXPECT_EQ(report().in_flight, 0u);
}

}  // namespace
}  // namespace foreshadow::kinds::http
