#include <chrono>
#include <cstdio>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

struct H2Handover : Rig {
  static Fields get(const std::string& path) { return testing::get(path); }
  std::unique_ptr<H2Client> client() { return std::make_unique<H2Client>(connect()); }
};

TEST_F(H2Handover, AHoldParksStreamsAndASwitchLetsThemGo) {
  start();
  auto c = client();
  EXPECT_EQ(c->ask(get("/before")).body, "a /before");
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  std::vector<std::uint32_t> parked;
  for (int i = 0; i < 10; ++i) {
    parked.push_back(c->next_stream());
    c->head(parked.back(), i % 2 ? get("/x") : post("/orders"), i % 2);
    if (i % 2 == 0) c->body(parked.back(), "hello");
  }
  ASSERT_TRUE(eventually([&] { return report().parked == 10; }));
  ASSERT_TRUE(c->round_trip()) << "the connection lives meanwhile";
  EXPECT_EQ(a.count(), 1u);
  // Given up while it waits.
  c->send(kRstStream, 0, parked.back(), uint32(8));
  parked.pop_back();
  ASSERT_TRUE(eventually([&] { return report().parked == 9; }));
  ASSERT_TRUE(seal(1, *ack));
  apply(handed_over(1));
  for (const auto stream : parked) {
    const auto answer = c->await(stream);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body.substr(0, 1), "b");
  }
  EXPECT_EQ(a.count(), 1u);
  EXPECT_EQ(b.count(), 9u);
}

TEST_F(H2Handover, AHoldWaitsForStreamsAndAReleaseGivesThemBack) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok("a")};
  });
  start();
  auto c = client();
  const auto slow = c->next_stream();
  c->head(slow, get("/slow"));
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  std::thread holder([&] {
    const auto ack = hold(1);
    EXPECT_TRUE(ack) << ack.error().what;
  });
  ASSERT_TRUE(eventually([&] { return report().hold != HoldState::open; }));
  const auto parked = c->next_stream();
  c->head(parked, get("/parked"));
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  a.release();
  EXPECT_EQ(c->await(slow).status, 200);
  holder.join();
  ASSERT_TRUE(release(1));
  EXPECT_EQ(c->await(parked).body, "a");
}

TEST_F(H2Handover, ParkedTooLongIsToldThatNothingWasDone) {
  start();
  auto c = client();
  ASSERT_TRUE(hold(1, {.lease = kPatient, .budget = kPatient, .park_max = Millis{50}}));
  const auto answer = c->ask(post("/orders"), "hello");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.fields.at("retry-after"), "1");
  EXPECT_NE(answer.body.find("nothing was done"), std::string::npos);
  EXPECT_EQ(a.count(), 0u);
  ASSERT_TRUE(release(1));
  EXPECT_EQ(c->ask(get("/")).status, 200);
}

TEST_F(H2Handover, FailsNoRequestUnderLoad) {
  start();
  std::atomic<bool> stop = false;
  std::atomic<int> done = 0, failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      auto c = client();
      while (!stop) {
        std::vector<std::uint32_t> streams;
        for (int i = 0; i < 8; ++i) {
          streams.push_back(c->next_stream());
          c->head(streams.back(), (i + t) % 2 ? get("/x") : post("/orders"), (i + t) % 2);
          if ((i + t) % 2 == 0) c->body(streams.back(), "hello");
        }
        for (const auto stream : streams) {
          failed += c->await(stream).status != 200;
          ++done;
        }
      }
    });
  constexpr std::uint64_t kEpochs = 6;
  for (std::uint64_t epoch = 1; epoch <= kEpochs; ++epoch) {
    const int before = done;
    EXPECT_TRUE(eventually([&] { return done > before + 50; }));
    const auto ack = hold(epoch);
    EXPECT_TRUE(ack) << ack.error().what;
    if (!ack) break;
    const auto seen = a.count() + b.count();
    EXPECT_EQ(report().in_flight, 0);
    // At least one of each connection's eight: a hold may come between them.
    EXPECT_TRUE(eventually([&] { return report().parked >= 2; }));
    EXPECT_EQ(a.count() + b.count(), seen);
    EXPECT_TRUE(seal(epoch, *ack));
    apply(handed_over(epoch));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(static_cast<std::size_t>(done), a.count() + b.count()) << "none lost, none doubled";
}

TEST_F(H2Handover, AStopSaysGoawayAndFinishesWhatItHas) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok("finished")};
  });
  start();
  auto idle = client();
  ASSERT_TRUE(idle->round_trip());
  auto busy = client();
  EXPECT_EQ(busy->ask(get("/quick")).status, 200);
  const auto slow = busy->next_stream();
  busy->head(slow, get("/slow"));
  ASSERT_TRUE(eventually([&] { return a.count() == 2; }));
  std::thread stopper([&] { gateway.reset(); });
  auto goaway = idle->await_goaway();
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->code(), 0u);
  EXPECT_EQ(goaway->last_stream(), 0u);
  EXPECT_TRUE(idle->raw().ended()) << "nothing is lost if it ends now";
  goaway = busy->await_goaway();
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->code(), 0u);
  EXPECT_EQ(goaway->last_stream(), slow);
  // Beyond the last: provably not done, its client may send it elsewhere.
  busy->head(busy->next_stream(), get("/after"));
  a.release();
  const auto answer = busy->await(slow);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "finished");
  EXPECT_TRUE(busy->raw().ended());
  stopper.join();
  EXPECT_EQ(a.count(), 2u);
}

TEST_F(H2Handover, SplitsByWeightAndKeepsAConnectionOnItsSide) {
  start();
  apply(split(0.5, 0));
  int other = 0;
  constexpr int n = 100;
  for (int i = 0; i < n; ++i) {
    auto c = client();
    const auto first = c->ask(get("/")).body;
    for (int again = 0; again < 3; ++again) EXPECT_EQ(c->ask(get("/")).body, first);
    other += first == "b /";
  }
  EXPECT_GT(other, n / 5);
  EXPECT_LT(other, n * 4 / 5);
}

TEST_F(H2Handover, ComparesAsHttp1Does) {
  const std::string body(40'000, 'x');
  a.handle([&](const Message&, Stream&) { return Backend::Reply{ok(body + "a")}; });
  b.handle([&](const Message& m, Stream&) { return Backend::Reply{ok(body + (m.target() == "/same" ? "a" : "b"))}; });
  start();
  apply(split(0, 1));
  auto c = client();
  EXPECT_EQ(c->ask(get("/same")).body, body + "a");
  ASSERT_TRUE(eventually([&] { return segment("browse").mirror.sent == 1; }));
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
  EXPECT_EQ(c->ask(get("/other")).body, body + "a");
  ASSERT_TRUE(eventually([&] { return segment("browse").mirror.sent == 2; }));
  EXPECT_EQ(segment("browse").mirror.mismatched, 1u);
}

TEST_F(H2Handover, MirrorsAsHttp1Does) {
  b.handle([](const Message& m, Stream&) { return Backend::Reply{ok("a " + m.target())}; });
  listener().options["compare_noise"] = "0";
  listener().body_spool_max = 200'000;
  start();
  apply(split(0, 1, 0, 1));
  auto c = client();
  EXPECT_EQ(c->ask(get("/x")).body, "a /x");
  EXPECT_EQ(c->ask(post("/orders"), "hello").status, 200);
  EXPECT_EQ(c->ask(post("/orders"), std::string(150'000, 'x')).status, 200);
  ASSERT_TRUE(eventually([&] { return b.count() == 3; }));
  for (const auto& copy : b.requests()) EXPECT_EQ(copy.field("foreshadow-mirror"), "1");
  EXPECT_EQ(b.requests().at(2).body.size(), 150'000u);
  EXPECT_EQ(c->ask(post("/orders"), std::string(300'000, 'x')).status, 200);
  ASSERT_TRUE(eventually([&] { return segment("orders").mirror.dropped == 1; })) << "too large to be kept";
  ASSERT_TRUE(eventually([&] { return segment("orders").mirror.sent == 2; }));
  EXPECT_EQ(segment("browse").mirror.errors + segment("browse").mirror.mismatched, 0u);
}

// Programs that are not ours.
struct RealClients : Rig {
  static std::string run(const std::string& command) {
    std::string said;
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    if (!pipe) return said;
    char buffer[4096];
    while (const auto n = fread(buffer, 1, sizeof buffer, pipe)) said.append(buffer, n);
    pclose(pipe);
    return said;
  }
};

TEST_F(RealClients, CurlNghttpAndH2loadAreServed) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{ok(m.method() == "POST" ? std::to_string(m.body.size()) : m.target())};
  });
  start();
  const auto url = "http://127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(run("curl -sS --http2-prior-knowledge -w ' %{http_version} %{http_code}' " + url + "/curl"), "/curl 2 200");
  EXPECT_EQ(run("head -c 3000000 /dev/zero | curl -sS --http2-prior-knowledge -T - -X POST " + url + "/orders"),
            "3000000");
  EXPECT_EQ(run("nghttp -nv " + url + "/nghttp | grep -c ':status: 200'"), "1\n");
  const auto load = run("h2load -n 1000 -c 5 -m 20 " + url + "/load");
  EXPECT_NE(load.find("1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed"), std::string::npos) << load;
}

}  // namespace
}  // namespace foreshadow::kinds::http
