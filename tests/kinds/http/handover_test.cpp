#include <chrono>
#include <cmath>
#include <set>

#include "kinds/http/http_kind.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

struct Handover : Rig {
  // Clients that ask without pause, half of them for writes, each on a connection that it keeps.
  struct Load {
    std::atomic<bool> stop = false;
    std::atomic<int> done = 0, failed = 0, broken = 0;
    std::vector<std::thread> threads;
    void end() {
      stop = true;
      for (auto& thread : threads) thread.join();
      threads.clear();
    }
    ~Load() { end(); }
  };
  void run(Load& load, int clients) {
    for (int c = 0; c < clients; ++c)
      load.threads.emplace_back([&, c] {
        auto client = connect();
        while (!load.stop) {
          const auto request = c % 2 ? "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
                                     : "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
          client.send(request);
          const auto answer = read_message(client);
          if (!answer) {
            ++load.broken;
            return;
          }
          load.failed += answer->status() != 200;
          ++load.done;
        }
      });
  }
};

// With one thread and with several.
struct HandoverOnThreads : Handover, ::testing::WithParamInterface<int> {
  HandoverOnThreads() { settings.threads = GetParam(); }
};

TEST_P(HandoverOnThreads, FailsNoRequestUnderLoad) {
  start();
  Load load;
  run(load, 16);
  constexpr std::uint64_t kEpochs = 10;
  for (std::uint64_t epoch = 1; epoch <= kEpochs; ++epoch) {
    const int before = load.done;
    ASSERT_TRUE(eventually([&] { return load.done > before + 100; }));
    const auto ack = hold(epoch);
    ASSERT_TRUE(ack) << ack.error().what;
    // Held: whatever the old side has begun is done, and nothing more comes.
    const auto seen = a.count() + b.count();
    const auto r = report();
    EXPECT_EQ(r.in_flight, 0);
    EXPECT_EQ(r.hold, HoldState::held);
    ASSERT_TRUE(eventually([&] { return report().parked == 16; }));
    EXPECT_EQ(a.count() + b.count(), seen);
    ASSERT_TRUE(seal(epoch, *ack));
    apply(handed_over(epoch));
    const auto& next = epoch % 2 ? b : a;
    const auto at_switch = next.count();
    ASSERT_TRUE(eventually([&] { return next.count() >= at_switch + 16; }));
  }
  load.end();
  EXPECT_EQ(load.failed, 0);
  EXPECT_EQ(load.broken, 0);
  EXPECT_EQ(static_cast<std::size_t>(load.done), a.count() + b.count()) << "none lost, none doubled";
}

INSTANTIATE_TEST_SUITE_P(Threads, HandoverOnThreads, ::testing::Values(1, 2, 3));

TEST_F(Handover, SplitsByWeightAndKeepsAConnectionOnItsSide) {
  start();
  apply(split(0.5, 0));
  int other = 0;
  constexpr int n = 400;
  for (int i = 0; i < n; ++i) {
    auto client = connect();
    std::set<std::string> sides;
    for (int k = 0; k < 3; ++k) {
      client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      sides.insert(read_message(client)->body);
    }
    EXPECT_EQ(sides.size(), 1u) << "one connection, one side";
    other += sides.contains("b /");
  }
  EXPECT_NEAR(other, n * 0.5, 5 * std::sqrt(n * 0.25));
  EXPECT_EQ(segment("browse").other.requests, static_cast<std::uint64_t>(3 * other));
}

TEST_F(Handover, DrawsEachRequestAfreshIfAsked) {
  listener().options["sticky"] = "request";
  start();
  apply(split(0.25, 0));
  auto client = connect();
  int other = 0;
  constexpr int n = 2000;
  for (int i = 0; i < n; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    other += read_message(client)->body == "b /";
  }
  EXPECT_NEAR(other, n * 0.25, 5 * std::sqrt(n * 0.25 * 0.75));
}

TEST_F(Handover, ParkedRequestsGoInTheOrderTheyCame) {
  start();
  ASSERT_TRUE(hold(1));
  std::vector<Stream> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(connect());
    clients.back().send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return report().parked == i + 1; }));
  }
  EXPECT_EQ(a.count(), 0u);
  ASSERT_TRUE(release(1));
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(read_message(clients[static_cast<std::size_t>(i)])->body, "a /" + std::to_string(i));
}

TEST_F(Handover, AHoldThatCannotDrainIsReleasedAndHurtsNobody) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok("done")};
  });
  start();
  auto slow = connect();
  slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  std::thread holder([&] {
    const auto refused = hold(1, {.lease = kPatient, .budget = Millis{200}, .park_max = kPatient});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::timeout);
  });
  ASSERT_TRUE(eventually([&] { return report().hold == HoldState::holding; }));
  EXPECT_EQ(get("/other")->body, "done") << "parked, then released";
  holder.join();
  a.release();
  EXPECT_EQ(read_message(slow)->body, "done");
}

// An upload that trickles in must not hold up a drain: it has not begun, as far as the instance knows.
TEST_F(Handover, ASlowUploadDoesNotDelayTheDrain) {
  start();
  auto slow = connect();
  slow.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
  ASSERT_TRUE(eventually([&] { return report().sessions == 1; }));
  const auto ack = hold(1, {.lease = kPatient, .budget = Millis{500}, .park_max = kPatient});
  ASSERT_TRUE(ack) << ack.error().what;
  slow.send("llo");
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  ASSERT_TRUE(seal(1, *ack));
  apply(handed_over(1));
  EXPECT_EQ(read_message(slow)->body, "b /orders");
}

TEST_F(Handover, SealedRequestsGetAnHonestAnswerAtTheirCap) {
  start();
  const auto ack = hold(1, {.lease = kPatient, .budget = kPatient, .park_max = Millis{150}});
  ASSERT_TRUE(ack);
  ASSERT_TRUE(seal(1, *ack));
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
  const auto answer = read_message(client);
  EXPECT_EQ(answer->status(), 503);
  EXPECT_NE(answer->body.find("nothing was done"), std::string::npos);
  EXPECT_EQ(a.count(), 0u);
  apply(handed_over(1));
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->body, "b /") << "the same connection goes on";
}

TEST_F(Handover, TooManyParkedAreRefusedAtOnce) {
  listener().parked_max = 5;
  start();
  ASSERT_TRUE(hold(1));
  std::vector<Stream> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(connect());
    clients.back().send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  ASSERT_TRUE(eventually([&] { return report().parked == 5; }));
  EXPECT_EQ(get("/")->status(), 503);
  ASSERT_TRUE(release(1));
  for (auto& client : clients) EXPECT_EQ(read_message(client)->status(), 200);
}

TEST_F(Handover, ShutdownFinishesWhatIsInFlight) {
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("finished")};
  });
  start();
  auto busy = connect(), idle = connect();
  busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1 && report().sessions == 2; }));
  std::thread stopping([&] { gateway.reset(); });
  EXPECT_TRUE(idle.ended()) << "idle connections end at once";
  a.release();
  const auto answer = read_message(busy);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "finished");
  EXPECT_EQ(answer->field("connection"), "close");
  stopping.join();
}

TEST_F(Handover, ShutdownCutsWhoDoesNotFinish) {
  settings.drain_timeout = Millis{200};
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{"", true};
  });
  start();
  auto busy = connect(), uploading = connect();
  busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  uploading.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + std::string(100'000, 'x'));
  ASSERT_TRUE(eventually([&] { return report().in_flight == 2; }));
  gateway.reset();
  EXPECT_FALSE(read_message(busy));
  EXPECT_FALSE(read_message(uploading));
}

TEST(HttpKind, ChecksItsOptions) {
  const auto kind = make_http_kind();
  Resource resource;
  resource.primary.endpoint = {"127.0.0.1", 80};
  EXPECT_TRUE(kind->check(resource, {}));
  EXPECT_TRUE(kind->check(resource, {{"probe_path", "/up"}, {"probe_successes", "5"}, {"sticky", "request"}}));
  for (const auto& [name, value] : Options{{"probe_path", "up"},
                                           {"probe_timeout", "5"},
                                           {"probe_interval", "0ms"},
                                           {"mirror_timeout", "1"},
                                           {"probe_successes", "many"},
                                           {"sticky", "yes"},
                                           {"trust_forwarded", "maybe"},
                                           {"max_body", "-1"},
                                           {"colour", "blue"}}) {
    const auto refused = kind->check(resource, {{name, value}});
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().what.find(name), std::string::npos);
  }
  resource.primary.endpoint = {"/run/x", 80};
  EXPECT_FALSE(kind->check(resource, {}));
}

TEST(HttpKind, WaitsUntilTheShadowAnswers) {
  const auto kind = make_http_kind();
  const Options options{{"probe_path", "/up"}, {"probe_interval", "5ms"}, {"probe_successes", "3"}};
  Backend shadow("b");
  std::atomic<int> probes = 0;
  // Good, bad, then good for ever: three in a row are needed.
  shadow.handle([&](const Message& m, Stream&) {
    EXPECT_EQ(m.target(), "/up");
    return Backend::Reply{status(++probes == 2 ? 503 : 200), true};
  });
  const auto ready = kind->replicator(options)->follow(Rig::instance(shadow), Rig::instance(shadow), kPatient, {}, {});
  ASSERT_TRUE(ready) << ready.error().what;
  EXPECT_EQ(probes, 5);
  EXPECT_TRUE(kind->replicator(options)->state({}, Rig::instance(shadow), {})->following);
  EXPECT_TRUE(*kind->promoter(options)->writable(Rig::instance(shadow), {}));
  EXPECT_TRUE(kind->promoter(options)->prove_equal({}, {}, Rig::instance(shadow), {}));
  shadow.kill();
  EXPECT_FALSE(kind->replicator(options)->state({}, Rig::instance(shadow), {})->following);
  EXPECT_FALSE(*kind->promoter(options)->writable(Rig::instance(shadow), {}));
  EXPECT_FALSE(kind->promoter(options)->prove_equal({}, {}, Rig::instance(shadow), {})) << "no handover to the dead";
  const auto late = kind->replicator(options)->follow(Rig::instance(shadow), Rig::instance(shadow), Millis{50}, {}, {});
  EXPECT_EQ(late.error().code, Code::timeout);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(kind->replicator(options)
                ->follow(Rig::instance(shadow), Rig::instance(shadow), kPatient, {}, stop.get_token())
                .error()
                .code,
            Code::cancelled);
}

TEST(HttpKind, ReadsWhatTheInstanceOffers) {
  const auto kind = make_http_kind();
  Instance bare = {.id = "a", .endpoint = {"127.0.0.1", 1}};
  EXPECT_EQ(kind->sources(bare, {}).size(), 1u);
  bare.pid_file = "/nowhere";
  bare.data_dir = "/";
  bare.attributes["cgroup"] = "/sys/fs/cgroup";
  EXPECT_EQ(kind->sources(bare, {}).size(), 4u);
}

}  // namespace
}  // namespace foreshadow::kinds::http
