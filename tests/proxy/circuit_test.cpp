#include "proxy/circuit.hpp"

#include <gtest/gtest.h>

namespace foreshadow::proxy {
namespace {

const Circuit::Now t0{std::chrono::hours{1}};

CircuitSettings settings() {
  return {.consecutive = 3,
          .share = 0.5,
          .volume_min = 20,
          .interval = Millis{10'000},
          .open = Millis{1000},
          .open_max = Millis{3000}};
}
// How long it stays open from `now`, to the millisecond.
Millis open_for(Circuit circuit, Circuit::Now now) {
  for (Millis t{0}; t <= Millis{10'000}; t += Millis{1})
    if (circuit.admits(now + t)) return t;
  return Millis::max();
}
bool fail_thrice(Circuit& circuit, Circuit::Now now, double draw = 0) {
  circuit.failed(now, draw, "x");
  circuit.failed(now, draw, "x");
  return circuit.failed(now, draw, "x");
}

TEST(Circuit, OpensAfterFailuresInARowOnly) {
  auto by_row = settings();
  by_row.share = 0;
  Circuit c(by_row);
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(c.failed(t0, 0, "x"));
    EXPECT_FALSE(c.failed(t0, 0, "x"));
    EXPECT_FALSE(c.succeeded());
  }
  EXPECT_TRUE(c.closed() && c.admits(t0));
  EXPECT_FALSE(c.failed(t0, 0, "x"));
  EXPECT_FALSE(c.failed(t0, 0, "x"));
  EXPECT_TRUE(c.failed(t0, 0, "no connection"));
  EXPECT_EQ(c.state(t0), CircuitState::open);
  EXPECT_FALSE(c.admits(t0));
  EXPECT_EQ(c.why(), "3 failures in a row, the last: no connection");
  EXPECT_EQ(c.opened(), 1u);
}

TEST(Circuit, OpensByShareOfEnoughWork) {
  Circuit c(settings());
  c.failed(t0, 0, "x");
  for (int i = 0; i < 9; ++i) c.succeeded();
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(c.failed(t0, 0, "x")) << i;
    c.succeeded();
  }
  // 9 of 26 failed so far; in pairs now, which are never three in a row.
  int more = 0;
  while (c.closed() && more < 100) {
    c.failed(t0, 0, "x");
    if (++more % 2 == 0) c.succeeded();
  }
  EXPECT_FALSE(c.closed());
  EXPECT_NE(c.why().find(" of "), std::string::npos) << c.why();
}

TEST(Circuit, OldFailuresAreForgotten) {
  Circuit c(settings());
  for (int i = 0; i < 30; ++i) {
    // Half of it fails, but never twenty units within one interval.
    const auto now = t0 + Millis{1000} * i;
    EXPECT_FALSE(c.failed(now, 0, "x"));
    c.succeeded();
  }
  EXPECT_TRUE(c.closed());
}

TEST(Circuit, GrowsWithEachTimeIsCappedAndJittered) {
  Circuit c(settings());
  auto now = t0;
  ASSERT_TRUE(fail_thrice(c, now));
  EXPECT_EQ(open_for(c, now), Millis{1000});
  for (const Millis next : {Millis{2000}, Millis{3000}, Millis{3000}}) {
    now += Millis{5000};
    ASSERT_TRUE(c.admits(now));
    EXPECT_EQ(c.state(now), CircuitState::half_open);
    EXPECT_TRUE(c.failed(now, 0, "x"));
    EXPECT_EQ(open_for(c, now), next);
  }
  EXPECT_EQ(c.opened(), 4u);
  Circuit jittered(settings());
  ASSERT_TRUE(fail_thrice(jittered, t0, 1.0));
  EXPECT_EQ(open_for(jittered, t0), Millis{1250});
}

TEST(Circuit, HalfOpenLetsOneThroughAndAnotherIfNothingIsHeard) {
  Circuit c(settings());
  ASSERT_TRUE(fail_thrice(c, t0));
  const auto now = t0 + Millis{1000};
  EXPECT_TRUE(c.admits(now));
  EXPECT_FALSE(c.admits(now));
  EXPECT_FALSE(c.admits(now + Millis{999}));
  EXPECT_TRUE(c.admits(now + Millis{1000}));
  EXPECT_TRUE(c.succeeded());
  EXPECT_TRUE(c.closed());
}

TEST(Circuit, WhatWasThereBeforeItOpenedDoesNotCloseIt) {
  Circuit c(settings());
  ASSERT_TRUE(fail_thrice(c, t0));
  EXPECT_FALSE(c.succeeded());
  EXPECT_FALSE(c.failed(t0, 0, "x")) << "nor does it open it again";
  EXPECT_EQ(c.state(t0), CircuitState::open);
  EXPECT_EQ(c.opened(), 1u);
}

TEST(Circuit, CalmIsRewarded) {
  Circuit c(settings());
  auto now = t0;
  ASSERT_TRUE(fail_thrice(c, now));
  now += Millis{2000};
  ASSERT_TRUE(c.admits(now));
  ASSERT_TRUE(c.failed(now, 0, "x"));  // the second time
  now += Millis{2000};
  ASSERT_TRUE(c.admits(now));
  ASSERT_TRUE(c.succeeded());
  Circuit soon = c;
  ASSERT_TRUE(fail_thrice(soon, now + Millis{10}));
  EXPECT_EQ(open_for(soon, now + Millis{10}), Millis{3000});
  ASSERT_TRUE(fail_thrice(c, now + Millis{60'000}));
  EXPECT_EQ(open_for(c, now + Millis{60'000}), Millis{1000});
}

TEST(Circuit, ZeroesTurnItOff) {
  Circuit c({.consecutive = 0, .share = 0});
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(c.failed(t0, 0, "x"));
  EXPECT_TRUE(c.closed());
}

}  // namespace
}  // namespace foreshadow::proxy
