#include <chrono>
#include <random>

#include "kinds/http/rig.hpp"
#include "kinds/http/session/mirror.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

struct Mirroring : Rig {
  // Requests on one connection; fails the test on the first that is not answered well.
  void browse(int n) {
    auto client = connect();
    for (int i = 0; i < n; ++i) {
      ASSERT_TRUE(client.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: shop\r\n\r\n"));
      const auto answer = read_message(client);
      ASSERT_TRUE(answer) << i;
      ASSERT_EQ(answer->status(), 200) << i;
      ASSERT_EQ(answer->body, "a /" + std::to_string(i));
    }
  }
  MirrorStats mirror_stats(const std::string& id = "browse") const { return segment(id).mirror; }
};

TEST_F(Mirroring, CopiesAreMarkedAndCompared) {
  b.handle([](const Message& m, Stream&) { return Backend::Reply{ok("a " + m.target())}; });
  start();
  apply(split(0, 1.0));
  browse(20);
  ASSERT_TRUE(eventually([&] { return mirror_stats().sent == 20; }));
  EXPECT_EQ(b.count(), 20u);
  for (const auto& copy : b.requests()) {
    EXPECT_EQ(copy.field("foreshadow-mirror"), "1");
    EXPECT_EQ(copy.field("host"), "shop");
    EXPECT_EQ(copy.field("x-forwarded-for"), "127.0.0.1");
  }
  for (const auto& request : a.requests()) EXPECT_EQ(request.field("foreshadow-mirror"), "");
  const auto stats = mirror_stats();
  EXPECT_EQ(stats.errors, 0u);
  EXPECT_EQ(stats.mismatched, 0u);
  EXPECT_EQ(stats.dropped, 0u);
  EXPECT_EQ(stats.latency.total(), 20u);
  EXPECT_EQ(segment("browse").other.requests, 0u) << "copies are no requests";
}

TEST_F(Mirroring, AClientsOwnMarkNeverPasses) {
  start();
  const auto answer = ask("POST /orders HTTP/1.1\r\nHost: h\r\nForeshadow-Mirror: 1\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(a.requests().at(0).head.find("irror"), std::string::npos);
}

TEST_F(Mirroring, WritesAreCopiedOnlyWhereTheMarkIsHonoured) {
  listener().segments.push_back({.id = "carts", .writes = true});
  listener().matches.push_back({"carts", {{"method", "POST"}, {"path", "/carts"}}});
  start();
  auto table = split(0, 1.0, 0, 1.0);
  table.routes.push_back({"carts", 0, 1.0});
  apply(table);
  EXPECT_EQ(ask("POST /carts HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\ncart")->status(), 200);
  EXPECT_EQ(ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\norder")->status(), 200);
  ASSERT_TRUE(eventually([&] { return mirror_stats("orders").sent == 1; }));
  ASSERT_EQ(b.count(), 1u);
  EXPECT_EQ(b.requests().at(0).target(), "/orders");
  EXPECT_EQ(b.requests().at(0).body, "order");
  EXPECT_EQ(b.requests().at(0).field("foreshadow-mirror"), "1");
  EXPECT_EQ(mirror_stats("carts").sent, 0u);
}

TEST_F(Mirroring, DifferencesAreCounted) {
  b.handle([](const Message& m, Stream&) { return Backend::Reply{status(m.target() == "/500" ? 500 : 404)}; });
  start();
  apply(split(0, 1.0));
  get("/404");
  get("/500");
  ASSERT_TRUE(eventually([&] { return mirror_stats().sent == 2; }));
  EXPECT_EQ(mirror_stats().mismatched, 2u);
  EXPECT_EQ(mirror_stats().errors, 1u);
}

TEST_F(Mirroring, AFailingPrimaryIsNoMeasureOfItsShadow) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{status(500)}; });
  start();
  apply(split(0, 1.0));
  EXPECT_EQ(get("/")->status(), 500);
  ASSERT_TRUE(eventually([&] { return mirror_stats().sent == 1; }));
  EXPECT_EQ(mirror_stats().mismatched, 0u);
  EXPECT_EQ(mirror_stats().errors, 0u);
}

TEST_F(Mirroring, StreamedBodiesAreSpooledToALimit) {
  listener().body_spool_max = 500'000;
  b.handle([](const Message&, Stream&) { return Backend::Reply{ok("x")}; });
  start();
  apply(split(0, 0, 0, 1.0));
  const auto post = [&](std::size_t n) {
    return ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(n) + "\r\n\r\n" +
               std::string(n, 'z'))
        ->status();
  };
  EXPECT_EQ(post(400'000), 200);
  ASSERT_TRUE(eventually([&] { return mirror_stats("orders").sent == 1; }));
  EXPECT_EQ(b.requests().at(0).body, std::string(400'000, 'z'));
  EXPECT_EQ(post(600'000), 200);
  ASSERT_TRUE(eventually([&] { return mirror_stats("orders").dropped == 1; }));
  std::string chunked = "POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunked += "2710\r\n" + std::string(10'000, 'y') + "\r\n";
  EXPECT_EQ(ask(chunked + "0\r\n\r\n")->status(), 200);
  ASSERT_TRUE(eventually([&] { return mirror_stats("orders").sent == 2; }));
  EXPECT_EQ(b.requests().at(1).body, std::string(200'000, 'y'));
  EXPECT_EQ(b.count(), 2u);
}

TEST_F(Mirroring, CopiesOfWritesAreCappedAndThoseOfReadsAreNot) {
  listener().options["mirror_writes_per_second"] = "1";
  start();
  apply(split(0, 1.0, 0, 1.0));
  constexpr std::uint64_t n = 20;
  for (std::uint64_t i = 0; i < n; ++i)
    EXPECT_EQ(ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")->status(), 200);
  browse(n);
  ASSERT_TRUE(eventually([&] { return mirror_stats("orders").sent + mirror_stats("orders").dropped == n; }));
  EXPECT_GE(mirror_stats("orders").sent, 1u);
  EXPECT_LT(mirror_stats("orders").sent, n);
  ASSERT_TRUE(eventually([&] { return mirror_stats().sent == n; }));
}

// The promise: nothing that a shadow does is felt by the primary's clients, nor grows without bound.
struct BadShadow : Mirroring {
  static constexpr Millis kTimeout{100};
  Steady::duration took{};  // of all requests together
  void suffer(Backend::Handler handler) {
    b.handle(std::move(handler));
    listener().options["mirror_timeout"] = "100ms";
    start();
    apply(split(0, 1.0));
    const auto started = Steady::now();
    constexpr int n = 2000;
    browse(n);
    took = Steady::now() - started;
    // However slow the machine is: each request alone would have waited so long for a shadow in its way.
    EXPECT_LT(took, n * kTimeout / 2);
    // The last is counted just after its client has the answer.
    ASSERT_TRUE(eventually([&] { return segment("browse").current.requests == static_cast<std::uint64_t>(n); }));
    EXPECT_EQ(segment("browse").current.errors, 0u);
    ASSERT_TRUE(
        eventually([&] { return mirror_stats().sent + mirror_stats().dropped == static_cast<std::uint64_t>(n); }));
  }
};

TEST_F(BadShadow, Stalled) {
  suffer([this](const Message&, Stream&) {
    b.stall();
    return Backend::Reply{"", true};
  });
  const auto stats = mirror_stats();
  // No more than wait and are sent at once, and those whose time was over meanwhile.
  const MirrorSettings limits;
  EXPECT_LE(stats.sent, limits.queued_max + limits.at_once_max * (1 + took / kTimeout)) << "the queue is bounded";
  EXPECT_GT(stats.errors, 0u);
  EXPECT_LE(b.connections(), stats.sent);
  b.release();
}

TEST_F(BadShadow, Dead) {
  b.kill();
  suffer(nullptr);
  EXPECT_EQ(mirror_stats().errors, mirror_stats().sent);
}

TEST_F(BadShadow, Garbage) {
  suffer([](const Message&, Stream&) { return Backend::Reply{std::string(5000, '\x17'), true}; });
  EXPECT_EQ(mirror_stats().errors, mirror_stats().sent);
}

TEST_F(BadShadow, Resetting) {
  suffer([](const Message&, Stream& stream) {
    stream.reset();
    return Backend::Reply{"", true};
  });
  EXPECT_EQ(mirror_stats().errors, mirror_stats().sent);
}

TEST_F(BadShadow, SlowByTheByte) {
  suffer([this](const Message&, Stream& stream) {
    stream.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    b.stall();
    return Backend::Reply{"", true};
  });
  EXPECT_EQ(mirror_stats().errors, mirror_stats().sent);
  b.release();
}

TEST_F(Mirroring, AnEndlessAnswerIsCutOff) {
  b.handle([](const Message&, Stream& stream) {
    stream.send("HTTP/1.1 200 OK\r\n\r\n");
    const std::string noise(100'000, 'n');
    while (stream.send(noise)) {
    }
    return Backend::Reply{"", true};
  });
  start();
  apply(split(0, 1.0));
  browse(50);
  ASSERT_TRUE(eventually([&] { return mirror_stats().sent == 50; }));
  EXPECT_EQ(mirror_stats().errors, 0u) << "its status was all that is compared";
  ASSERT_TRUE(eventually([&] { return b.open() == 0; }));
}

// The other direction after a handover: the old primary gets the copies.
TEST_F(Mirroring, ReversesAfterAHandover) {
  start();
  auto table = handed_over(1);
  table.other = instance(a);
  table.routes = {{"browse", 0, 1.0}};
  apply(table);
  EXPECT_EQ(get("/x")->body, "b /x");
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  EXPECT_EQ(a.requests().at(0).field("foreshadow-mirror"), "1");
}

}  // namespace
}  // namespace foreshadow::kinds::http
