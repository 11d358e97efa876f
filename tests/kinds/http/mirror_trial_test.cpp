// The trial that keeps the mirror harmless, over the real gateway and two real services.
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

struct Trial : Rig {
  // Clients that ask, one request after the other, until they are told to stop.
  struct Crowd {
    explicit Crowd(const Rig& rig) {
      for (int i = 0; i < 3; ++i)
        clients.emplace_back([this, &rig](const std::stop_token& stop) {
          auto client = rig.connect();
          while (!stop.stop_requested()) {
            if (!client.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n") || !read_message(client)) ++failed;
            ++asked;
          }
        });
    }
    std::atomic<int> asked = 0, failed = 0;
    std::vector<std::jthread> clients;
  };
  Trial() {
    listener().options["mirror_trial"] = "true";
    listener().options["mirror_slot"] = "20ms";
  }
  MirrorPace pace() const { return report().mirror_pace.value_or(MirrorPace{.rate = -1}); }
};

TEST_F(Trial, WithoutAShadowThereIsNoTrial) {
  start();
  for (int i = 0; i < 20; ++i) get("/");
  EXPECT_EQ(pace(), MirrorPace{});
}

TEST_F(Trial, InSomeSlotsNothingIsMirrored) {
  start();
  apply(split(0, 1.0));
  int asked = 0;
  {
    Crowd crowd(*this);
    ASSERT_TRUE(eventually([&] { return pace().control >= 20 && pace().blocks >= 3; }));
    crowd.clients.clear();
    asked = crowd.asked;
    EXPECT_EQ(crowd.failed, 0);
  }
  const auto counted = [&] {
    return segment("browse").mirror.sent + segment("browse").mirror.dropped + pace().control;
  };
  EXPECT_TRUE(eventually([&] { return counted() == static_cast<std::uint64_t>(asked); }, std::chrono::seconds{120}))
      << counted() << " of " << asked;
  EXPECT_LT(pace().control, static_cast<std::uint64_t>(asked) / 2);
}

TEST_F(Trial, AShadowThatTakesFromItsPrimarySlowsTheMirrorDown) {
  // They share something: for a while after each copy the primary is slow.
  // Copies may still come when this body has returned.
  const auto copied = std::make_shared<std::atomic<Steady::rep>>(0);
  b.handle([copied](const Message&, Stream&) {
    *copied = Steady::now().time_since_epoch().count();
    return Backend::Reply{ok("x")};
  });
  a.handle([copied](const Message&, Stream&) {
    const auto since = Steady::now().time_since_epoch() - Steady::duration{*copied};
    std::this_thread::sleep_for(since < std::chrono::milliseconds{5} ? std::chrono::milliseconds{4}
                                                                     : std::chrono::milliseconds{1});
    return Backend::Reply{ok("x")};
  });
  start();
  apply(split(0, 1.0));
  Crowd crowd(*this);
  eventually([&] { return pace().slowed_down > 0; }, std::chrono::seconds{90}, Millis{50});
  EXPECT_GE(pace().slowed_down, 1u) << "evidence " << pace().evidence << " after " << pace().blocks << " blocks";
  EXPECT_LE(pace().rate, 0.55);
  EXPECT_TRUE(eventually([&] { return segment("browse").mirror.dropped > 0; })) << "what is above the rate";
  EXPECT_EQ(segment("browse").current.errors, 0u);
}

TEST_F(Trial, LearnsFromHttp2AsFromHttp1) {
  start();
  apply(split(0, 1.0));
  std::atomic<int> failed = 0;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 3; ++i)
    clients.emplace_back([&](const std::stop_token& stop) {
      H2Client client(connect());
      while (!stop.stop_requested()) failed += client.ask(testing::get("/x")).status != 200;
    });
  EXPECT_TRUE(eventually([&] { return pace().blocks >= 3; }, std::chrono::seconds{60}))
      << "of " << pace().control << " without a copy";
  clients.clear();
  EXPECT_EQ(failed, 0);
}

TEST_F(Trial, CanBeTurnedOff) {
  listener().options["mirror_trial"] = "false";
  start();
  EXPECT_FALSE(report().mirror_pace);
}

}  // namespace
}  // namespace foreshadow::kinds::http
