// Reads that go on while a hold parks what writes.
#include <chrono>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/http_kind.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

constexpr const char* kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr const char* kPost = "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";

struct ReadsInHold : Rig {
  ReadsInHold() { listener().options.erase("reads_in_hold"); }

  // Clients that ask without pause, each on a connection that it keeps; half of them only read.
  struct Load {
    std::atomic<bool> stop = false;
    std::atomic<int> reads = 0, writes = 0, failed = 0;
    std::atomic<std::int64_t> longest_read_us = 0, longest_write_us = 0;
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
        const bool reads = c % 2;
        auto& longest = reads ? load.longest_read_us : load.longest_write_us;
        auto client = connect();
        while (!load.stop) {
          const auto began = Steady::now();
          client.send(reads ? kGet : kPost);
          const auto answer = read_message(client);
          const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - began).count();
          load.failed += !answer || answer->status() != 200;
          if (!answer) return;
          for (auto most = longest.load(); took > most && !longest.compare_exchange_weak(most, took);) {
          }
          ++(reads ? load.reads : load.writes);
        }
      });
  }
};

TEST_F(ReadsInHold, FlowToTheOldSideUntilTheSwitch) {
  start();
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  EXPECT_EQ(get("/x")->body, "a /x");
  auto writer = connect();
  writer.send(kPost);
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  EXPECT_EQ(get("/x")->body, "a /x");
  ASSERT_TRUE(seal(1, *ack));
  EXPECT_EQ(get("/x")->body, "a /x");
  apply(handed_over(1));
  EXPECT_EQ(get("/x")->body, "b /x");
  EXPECT_EQ(read_message(writer)->body, "b /orders");
  EXPECT_EQ(segment("browse").flowed, 3u);
  EXPECT_EQ(b.count(), 2u);
}

TEST_F(ReadsInHold, ADrainDoesNotWaitForThem) {
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("at last")};
  });
  start();
  auto slow = connect();
  slow.send(kGet);
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  const auto ack = hold(1, {.lease = kPatient, .budget = Millis{500}, .park_max = kPatient});
  ASSERT_TRUE(ack) << ack.error().what;
  ASSERT_TRUE(seal(1, *ack));
  apply(handed_over(1));
  EXPECT_EQ(get("/x")->body, "b /x");
  a.release();
  EXPECT_EQ(read_message(slow)->body, "at last") << "it ends where it began";
}

// What may write waits, whatever its segment says; so does what may become something else, and what nobody declared.
TEST_F(ReadsInHold, EverythingElseWaits) {
  listener().matches[0].conditions = {{"path", "/x"}};
  start();
  ASSERT_TRUE(hold(1));
  std::vector<Stream> clients;
  const std::string waiting[] = {"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
                                 "DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n",
                                 "GET /x HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
                                 "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n", "get /x HTTP/1.1\r\nHost: h\r\n\r\n"};
  for (const auto& request : waiting) {
    clients.push_back(connect());
    clients.back().send(request);
    ASSERT_TRUE(eventually([&] { return report().parked == static_cast<int>(clients.size()); })) << request;
  }
  EXPECT_EQ(a.count(), 0u);
  EXPECT_EQ(ask("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true)->status(), 200);
  EXPECT_EQ(ask("OPTIONS /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")->status(), 200);
  EXPECT_EQ(a.count(), 2u);
  ASSERT_TRUE(release(1));
  for (auto& client : clients) EXPECT_EQ(read_message(client)->status(), 200);
}

TEST_F(ReadsInHold, ASegmentThatWritesIsAskedByItsOption) {
  listener().matches[1].conditions = {{"path", "/orders"}};
  listener().matches[0].conditions = {{"path", "/x"}};
  start();
  ASSERT_TRUE(hold(1));
  auto client = connect();
  client.send("GET /orders HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return report().parked == 1; })) << "a GET of a segment that writes may write";
  ASSERT_TRUE(release(1));
  EXPECT_EQ(read_message(client)->status(), 200);
  gateway.reset();

  listener().matches[1].options["reads_in_hold"] = "flow";
  listener().matches[0].options["reads_in_hold"] = "park";
  start();
  ASSERT_TRUE(hold(1));
  EXPECT_EQ(get("/orders")->status(), 200);
  auto parked = connect();
  parked.send(kGet);
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
}

// Whoever switches the old side off before the new one is open: its reads wait after all, and nobody is told.
TEST_F(ReadsInHold, WhatTheOldSideWillNotTakeWaitsForTheNewOne) {
  start();
  auto kept = connect();
  kept.send(kGet);
  ASSERT_EQ(read_message(kept)->body, "a /x");
  const auto ack = hold(1);
  ASSERT_TRUE(ack);
  ASSERT_TRUE(seal(1, *ack));
  a.kill();
  auto fresh = connect();
  kept.send(kGet);
  fresh.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return report().parked == 2; }));
  apply(handed_over(1));
  EXPECT_EQ(read_message(kept)->body, "b /x");
  EXPECT_EQ(read_message(fresh, true)->status(), 200);
  const auto browse = segment("browse");
  EXPECT_EQ(browse.reentered, 2u);
  EXPECT_EQ(browse.current.errors + browse.other.errors, 0u);
  EXPECT_EQ(browse.refused, 0u);
}

TEST_F(ReadsInHold, AnAnswerThatWasCutBeforeItBeganIsAskedForAnew) {
  a.handle_connections([this](Stream& stream) {
    if (!read_message(stream)) return;
    a.stall();
    stream.send("HTTP/1.1 200");
  });
  start();
  auto client = connect();
  client.send(kGet);
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  const auto ack = hold(1);
  ASSERT_TRUE(ack);
  ASSERT_TRUE(seal(1, *ack));
  apply(handed_over(1));
  a.release();
  EXPECT_EQ(read_message(client)->body, "b /x") << "the sides have changed under it";
}

// Without a hold a dead side is told as ever.
TEST_F(ReadsInHold, OnlyAHandoverIsReasonToAskAgain) {
  start();
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(segment("browse").reentered, 0u);
}

TEST_F(ReadsInHold, FailNothingUnderLoadAndHardlyWait) {
  start();
  Load load;
  run(load, 8);
  constexpr std::uint64_t kEpochs = 8;
  // What a handover does meanwhile, proofs and all, takes this long.
  constexpr Millis kBusy{150};
  int reads_in_holds = 0;
  for (std::uint64_t epoch = 1; epoch <= kEpochs; ++epoch) {
    const int before = load.writes;
    ASSERT_TRUE(eventually([&] { return load.writes > before + 20; }));
    const auto ack = hold(epoch);
    ASSERT_TRUE(ack) << ack.error().what;
    const auto until = Steady::now() + kBusy;
    const int reads = load.reads;
    ASSERT_TRUE(eventually([&] { return Steady::now() >= until && report().parked == 4; }));
    reads_in_holds += load.reads - reads;
    ASSERT_TRUE(seal(epoch, *ack));
    apply(handed_over(epoch));
  }
  load.end();
  EXPECT_EQ(load.failed, 0);
  EXPECT_GT(reads_in_holds, 0);
  EXPECT_EQ(static_cast<std::size_t>(load.reads + load.writes), a.count() + b.count()) << "none lost, none doubled";
  EXPECT_GE(load.longest_write_us, std::chrono::microseconds(kBusy).count());
  EXPECT_LT(load.longest_read_us, load.longest_write_us);
  RecordProperty("longest_read_us", std::to_string(load.longest_read_us));
  RecordProperty("longest_write_us", std::to_string(load.longest_write_us));
}

// The old side dies in the middle of each handover, right after it was sealed.
TEST_F(ReadsInHold, FailNothingWhileOldSidesAreStopped) {
  start();
  Load load;
  run(load, 8);
  ASSERT_TRUE(eventually([&] { return load.reads > 50 && load.writes > 50; }));
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  ASSERT_TRUE(seal(1, *ack));
  a.kill();
  ASSERT_TRUE(eventually([&] { return report().parked == 8; })) << "reads wait now, too";
  apply(handed_over(1));
  const int reads = load.reads, writes = load.writes;
  ASSERT_TRUE(eventually([&] { return load.reads > reads + 50 && load.writes > writes + 50; }));
  load.end();
  EXPECT_EQ(load.failed, 0);
  EXPECT_GT(segment("browse").reentered, 0u);
}

TEST(ReadsInHoldOptions, AreChecked) {
  const auto kind = make_http_kind();
  Resource resource;
  resource.primary.endpoint = {"127.0.0.1", 80};
  EXPECT_TRUE(kind->check(resource, {{"reads_in_hold", "park"}}));
  const auto refused = kind->check(resource, {{"reads_in_hold", "wait"}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("flow or park"), std::string::npos);
  EXPECT_TRUE(kind->check_segment_option("reads_in_hold", "flow"));
  EXPECT_FALSE(kind->check_segment_option("reads_in_hold", "true"));
}

}  // namespace
}  // namespace foreshadow::kinds::http
