// What becomes of the bytes: both ways, whole, in bounded memory, and how each end of a connection is passed on.
#include <dirent.h>

#include <cstring>
#include <random>

#include "kinds/tcp/rig.hpp"
#include "kinds/tcp/session/held.hpp"

namespace foreshadow::kinds::tcp {
namespace {

using namespace testing;
using Ended = Stream::Ended;

struct Streams : Rig {};

// Words that do not repeat, so that what is lost, doubled or out of order shows.
std::string noise(std::size_t n) {
  std::mt19937_64 draw(7);
  std::string out(n, '\0');
  for (std::size_t i = 0; i + 8 <= n; i += 8) {
    const std::uint64_t word = draw();
    std::memcpy(out.data() + i, &word, 8);
  }
  return out;
}

TEST_F(Streams, CarryBytesBothWays) {
  start();
  auto [client, name] = greeted();
  EXPECT_EQ(name, "a");
  for (const auto* word : {"hello", "there", "\r\n"}) {
    client.send(word);
    EXPECT_EQ(client.read_exactly(std::string(word).size()), word);
  }
  const auto r = report();
  EXPECT_EQ(r.sessions, 1);
  EXPECT_EQ(r.in_flight, 1);
  ASSERT_EQ(r.segments.size(), 1u);
  EXPECT_EQ(r.segments[0].current.requests, 1u) << "counted when the instance has answered, not hours later";
  EXPECT_EQ(r.segments[0].current.errors, 0u);
}

TEST_F(Streams, CarryMuchThroughAReaderThatBeginsLate) {
  const auto data = noise(32 << 20);
  std::string got;
  a.handle([&](Stream& stream) {
    a.stall();
    stream.read_to_end(&got);
    stream.send("done");
  });
  start();
  auto client = connect();
  ASSERT_TRUE(eventually([&] { return a.accepted() == 1; }));
  std::jthread sender([&] {
    client.send(data);
    client.end_sending();
  });
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  a.release();
  EXPECT_EQ(client.read_exactly(4), "done");
  sender.join();
  EXPECT_EQ(got.size(), data.size());
  EXPECT_TRUE(got == data);
}

TEST_F(Streams, AStalledReaderStopsItsSenderAndNobodyElse) {
  a.handle([&](Stream& stream) {
    stream.send("a");
    if (stream.read_exactly(1) == "s") return a.stall();
    echo(stream);
  });
  start();
  auto [flooding, name] = greeted();
  flooding.send("s");
  const std::size_t most = 1 << 30;
  const auto sent = flooding.send_until_stalled(most, Millis{500});
  EXPECT_LT(sent, most / 8) << "back-pressure reaches the sender";
  auto [other, also] = greeted();
  other.send("xhello");
  EXPECT_EQ(other.read_exactly(5), "hello");
}

TEST_F(Streams, PassOnAnEndOfSendingAndGoOnTheOtherWay) {
  a.handle([](Stream& stream) {
    std::string all;
    if (stream.read_to_end(&all) == Ended::orderly) stream.send("you said " + all);
  });
  start();
  auto client = connect();
  client.send("this");
  client.end_sending();
  std::string answer;
  EXPECT_EQ(client.read_to_end(&answer), Ended::orderly);
  EXPECT_EQ(answer, "you said this");
  ASSERT_TRUE(eventually([&] { return report().sessions == 0; }));
  EXPECT_EQ(report().segments[0].current.errors, 0u);
}

TEST_F(Streams, PassOnTheInstancesEndWhileTheClientGoesOn) {
  std::string got;
  a.handle([&](Stream& stream) {
    stream.send("bye");
    stream.end_sending();
    stream.read_to_end(&got);
  });
  start();
  auto client = connect();
  std::string said;
  EXPECT_EQ(client.read_to_end(&said), Ended::orderly);
  EXPECT_EQ(said, "bye");
  client.send("one more thing");
  client.end_sending();
  ASSERT_TRUE(eventually([&] { return report().sessions == 0 && a.open() == 0; }));
  EXPECT_EQ(got, "one more thing");
}

TEST_F(Streams, PassOnTheInstancesReset) {
  a.handle([](Stream& stream) {
    stream.send("half an ans");
    stream.read_exactly(1);
    stream.reset();
  });
  start();
  auto client = connect();
  EXPECT_EQ(client.read_exactly(11), "half an ans");
  client.send("x");
  EXPECT_EQ(client.read_to_end(), Ended::by_reset);
}

TEST_F(Streams, PassOnTheClientsReset) {
  std::atomic<bool> was_reset = false;
  a.handle([&](Stream& stream) {
    stream.send("a");
    was_reset = stream.read_to_end() == Ended::by_reset;
  });
  start();
  auto [client, name] = greeted();
  client.reset();
  ASSERT_TRUE(eventually([&] { return a.open() == 0; }));
  EXPECT_TRUE(was_reset);
  ASSERT_TRUE(eventually([&] { return report().sessions == 0; }));
  EXPECT_EQ(report().segments[0].current.errors, 0u) << "what a client spoils says nothing of the instance";
}

// Nobody reads from a client that has ended its sending: its reset is looked for.
TEST_F(Streams, NoticeAResetOfAClientThatHadEndedItsSending) {
  std::atomic<bool> heard_the_end = false;
  a.handle([&](Stream& stream) {
    stream.send("a");
    stream.read_to_end();
    heard_the_end = true;
    a.stall();
  });
  start();
  auto [client, name] = greeted();
  client.end_sending();
  ASSERT_TRUE(eventually([&] { return heard_the_end.load(); }));
  client.reset();
  EXPECT_TRUE(eventually([&] { return report().sessions == 0; }));
}

TEST_F(Streams, AnInstanceThatSaysNothingAndLeavesHasFailed) {
  a.handle([](Stream& stream) {
    stream.read_exactly(5);
    stream.end_sending();
  });
  start();
  auto client = connect();
  client.send("hello");
  EXPECT_EQ(client.read_to_end(), Ended::orderly);
  client.end_sending();
  ASSERT_TRUE(eventually([&] { return report().sessions == 0; }));
  EXPECT_EQ(report().segments[0].current.errors, 1u);
}

TEST_F(Streams, AnInstanceThatIsNotThereIsAResetToTheClient) {
  a.kill();
  ASSERT_TRUE(eventually([&] { return !Stream::connect(a.port()); }));
  start();
  auto client = connect();
  EXPECT_EQ(client.read_to_end(), Ended::by_reset);
  ASSERT_TRUE(eventually([&] { return report().sessions == 0; }));
  EXPECT_EQ(report().segments[0].current.errors, 1u);
}

TEST_F(Streams, EndWhenNothingMovesForTheIdleTimeout) {
  listener().idle_timeout = Millis{200};
  start();
  auto [client, name] = greeted();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(client.read_to_end(), Ended::orderly);
  EXPECT_GE(std::chrono::steady_clock::now() - began, Millis{150});
  EXPECT_TRUE(eventually([&] { return report().sessions == 0 && a.open() == 0; }));
  EXPECT_EQ(report().segments[0].current.errors, 0u);
}

// What was not delivered must not look as if it had been.
TEST_F(Streams, AReaderThatStallsTooLongGetsAResetNotAnEnd) {
  listener().idle_timeout = Millis{300};
  std::atomic<bool> sender_ended = false;
  a.handle([&](Stream& stream) {
    stream.send_until_stalled(1 << 30, Millis{10'000});
    sender_ended = true;
  });
  start();
  auto client = connect();
  ASSERT_TRUE(eventually([&] { return sender_ended.load(); }));
  EXPECT_EQ(client.read_to_end(), Ended::by_reset);
}

TEST_F(Streams, MoreThanAllowedAreClosedAndTheOthersGoOn) {
  listener().connections_max = 3;
  start();
  std::vector<Stream> in;
  for (int i = 0; i < 3; ++i) in.push_back(greeted().first);
  EXPECT_NE(connect().read_to_end(), Ended::not_yet);
  for (auto& client : in) {
    client.send("still");
    EXPECT_EQ(client.read_exactly(5), "still");
  }
  in.pop_back();
  EXPECT_TRUE(eventually([&] { return greeted().second == "a"; })) << "there is room again";
}

TEST_F(Streams, ShutdownEndsThoseAtRestAtOnceAndWaitsForTheOthers) {
  a.handle([&](Stream& stream) {
    stream.send("a");
    if (stream.read_exactly(1) != "w") return;
    a.stall();
    stream.send("answer");
  });
  start();
  auto [resting, one] = greeted();
  auto [waiting, two] = greeted();
  waiting.send("w");
  std::jthread stopping([&] { gateway.reset(); });
  EXPECT_EQ(resting.read_to_end(), Ended::orderly);
  a.release();
  EXPECT_EQ(waiting.read_exactly(6), "answer");
  waiting.end_sending();
  stopping.join();
}

TEST_F(Streams, ShutdownResetsWhomItCannotWaitFor) {
  settings.drain_timeout = Millis{200};
  a.handle([&](Stream& stream) {
    stream.send("a");
    a.stall();
  });
  start();
  auto [waiting, name] = greeted();
  waiting.send("w");
  gateway.reset();
  EXPECT_EQ(waiting.read_to_end(), Ended::by_reset);
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  auto* directory = opendir("/proc/self/fd");
  while (readdir(directory)) ++count;
  closedir(directory);
  return count;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kChurn = 2'000;
#else
constexpr int kChurn = 10'000;
#endif
#else
constexpr int kChurn = 10'000;
#endif

TEST_F(Streams, ManyComeAndGoAndNothingIsLeft) {
  start();
  static_cast<void>(greeted());
  ASSERT_TRUE(eventually([&] { return report().sessions == 0 && a.open() == 0; }));
  const auto before = open_descriptors();
  constexpr int kThreads = 8;
  std::atomic<int> bad = 0;
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = t; i < kChurn; i += kThreads) {
        auto client = Stream::connect(port);
        const auto word = std::to_string(i);
        const bool well = client && client->send(word) && client->read_exactly(1 + word.size()) == "a" + word;
        bad += !well;
        // Ends of every kind: by the client in order, by half, and with a reset.
        if (client && i % 3 == 0) client->reset();
        if (client && i % 3 == 1) {
          client->end_sending();
          bad += client->read_to_end() != Ended::orderly;
        }
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(bad, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(120));
  ASSERT_TRUE(eventually([&] { return report().sessions == 0 && a.open() == 0; }));
  EXPECT_EQ(report().in_flight, 0);
  EXPECT_EQ(report().segments[0].current.requests, static_cast<std::uint64_t>(kChurn) + 1);
  EXPECT_EQ(report().segments[0].current.errors, 0u);
  EXPECT_TRUE(eventually([&] { return open_descriptors() <= before; })) << open_descriptors() << " of " << before;
}

TEST(HeldAccount, LetsEverybodyGetOnInSmallChunksWhenItIsFull) {
  HeldAccount account(2 * HeldAccount::chunk);
  const std::string bytes(HeldAccount::chunk, 'x');
  {
    Held one(account), two(account);
    EXPECT_EQ(account.scratch().size(), HeldAccount::chunk);
    one.keep(bytes);
    EXPECT_EQ(account.scratch().size(), HeldAccount::chunk);
    two.keep(bytes);
    EXPECT_EQ(account.bytes(), 2 * HeldAccount::chunk);
    EXPECT_EQ(account.scratch().size(), HeldAccount::small_chunk);
    one.consume(100);
    EXPECT_EQ(one.rest().size(), HeldAccount::chunk - 100);
    one.consume(one.rest().size());
    EXPECT_TRUE(one.empty());
    EXPECT_EQ(account.bytes(), HeldAccount::chunk) << "given back with the last byte";
  }
  EXPECT_EQ(account.bytes(), 0u);
}

}  // namespace
}  // namespace foreshadow::kinds::tcp
