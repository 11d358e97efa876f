#include "proxy/hold_machine.hpp"

#include <gtest/gtest.h>

namespace foreshadow::proxy {
namespace {

using Change = HoldMachine::Change;

const HoldMachine::Now t0{std::chrono::hours{1}};
HoldPolicy policy() { return {.lease = Millis{3000}, .budget = Millis{300}, .park_max = Millis{5000}}; }

TEST(HoldMachine, DrainsThenSealsThenOpensOnlyByCommand) {
  HoldMachine m;
  EXPECT_FALSE(m.parks());
  ASSERT_TRUE(m.begin(2, policy(), t0));
  EXPECT_EQ(m.state(), HoldState::holding);
  EXPECT_EQ(m.wake_at(), t0 + Millis{300});
  EXPECT_EQ(m.advance(t0 + Millis{10}, 3), Change::none);
  EXPECT_EQ(m.advance(t0 + Millis{20}, 0), Change::drained);
  EXPECT_EQ(m.wake_at(), t0 + Millis{3000});
  ASSERT_TRUE(m.seal(2, t0 + Millis{30}));
  EXPECT_EQ(m.state(), HoldState::sealed);
  EXPECT_FALSE(m.wake_at());
  EXPECT_EQ(m.advance(t0 + std::chrono::hours{24}, 0), Change::none);
  EXPECT_TRUE(m.parks());
  EXPECT_TRUE(m.seal(2, t0 + Millis{40})) << "the same seal again";
  ASSERT_TRUE(m.release(2));
  EXPECT_FALSE(m.parks());
}

TEST(HoldMachine, OverBudgetReleases) {
  HoldMachine m;
  ASSERT_TRUE(m.begin(2, policy(), t0));
  EXPECT_EQ(m.advance(t0 + Millis{299}, 1), Change::none);
  EXPECT_EQ(m.advance(t0 + Millis{300}, 1), Change::over_budget);
  EXPECT_EQ(m.state(), HoldState::open);
  EXPECT_EQ(m.seal(2, t0 + Millis{301}).error().code, Code::refused);
}

TEST(HoldMachine, LapseReleasesAndForbidsTheSeal) {
  HoldMachine m;
  ASSERT_TRUE(m.begin(2, policy(), t0));
  ASSERT_EQ(m.advance(t0, 0), Change::drained);
  EXPECT_EQ(m.advance(t0 + Millis{2999}, 0), Change::none);
  EXPECT_EQ(m.advance(t0 + Millis{3000}, 0), Change::lapsed);
  EXPECT_EQ(m.seal(2, t0 + Millis{3001}).error().code, Code::refused);
}

// The process may have slept through the lapse, so that nobody called advance().
TEST(HoldMachine, SealAsksTheClockNotTheState) {
  HoldMachine m;
  ASSERT_TRUE(m.begin(2, policy(), t0));
  ASSERT_EQ(m.advance(t0, 0), Change::drained);
  EXPECT_EQ(m.seal(2, t0 + Millis{3000}).error().code, Code::refused);
}

TEST(HoldMachine, SealNeedsADrainedHoldOfTheSameEpoch) {
  HoldMachine m;
  EXPECT_EQ(m.seal(2, t0).error().code, Code::refused);
  ASSERT_TRUE(m.begin(2, policy(), t0));
  EXPECT_EQ(m.seal(2, t0).error().code, Code::refused) << "not drained";
  m.advance(t0, 0);
  EXPECT_EQ(m.seal(3, t0).error().code, Code::conflict);
  EXPECT_EQ(m.release(3).error().code, Code::conflict);
  EXPECT_EQ(m.begin(3, policy(), t0).error().code, Code::conflict);
}

TEST(HoldMachine, RepeatedHoldRenewsTheLease) {
  HoldMachine m;
  ASSERT_TRUE(m.begin(2, policy(), t0));
  m.advance(t0, 0);
  ASSERT_TRUE(m.begin(2, policy(), t0 + Millis{2000}));
  EXPECT_EQ(m.state(), HoldState::held);
  EXPECT_EQ(m.lease_left(t0 + Millis{2000}), Millis{3000});
  ASSERT_TRUE(m.seal(2, t0 + Millis{4000}));
  ASSERT_TRUE(m.begin(2, policy(), t0 + Millis{5000}));
  EXPECT_EQ(m.state(), HoldState::sealed) << "a hold never weakens a seal";
}

TEST(HoldMachine, RefusesAPolicyWithoutTime) {
  for (auto broken :
       {HoldPolicy{.lease = Millis{0}}, HoldPolicy{.budget = Millis{0}}, HoldPolicy{.park_max = Millis{-1}}}) {
    HoldMachine m;
    EXPECT_EQ(m.begin(2, broken, t0).error().code, Code::invalid);
    EXPECT_FALSE(m.parks());
  }
}

TEST(HoldMachine, UnsealLeavesTheLeaseRunning) {
  HoldMachine m;
  ASSERT_TRUE(m.begin(2, policy(), t0));
  m.advance(t0, 0);
  ASSERT_TRUE(m.seal(2, t0));
  m.unseal();
  EXPECT_EQ(m.advance(t0 + Millis{2999}, 0), Change::none);
  EXPECT_EQ(m.advance(t0 + Millis{3000}, 0), Change::lapsed);
}

TEST(HoldMachine, ReadsFlowUntilASealIsOverdue) {
  HoldMachine m;
  EXPECT_FALSE(m.parks_reads(t0));
  ASSERT_TRUE(m.begin(2, policy(), t0));
  EXPECT_FALSE(m.parks_reads(t0));
  ASSERT_EQ(m.advance(t0, 0), Change::drained);
  EXPECT_FALSE(m.parks_reads(t0 + Millis{2999}));
  ASSERT_TRUE(m.seal(2, t0 + Millis{1000}));
  EXPECT_FALSE(m.parks_reads(t0 + Millis{5999}));
  EXPECT_TRUE(m.parks_reads(t0 + Millis{6000}));
  ASSERT_TRUE(m.seal(2, t0 + Millis{6000}));
  EXPECT_TRUE(m.parks_reads(t0 + Millis{6000})) << "the same seal again gives no more time";
  m.open();
  EXPECT_FALSE(m.parks_reads(t0 + Millis{6000}));
  HoldMachine booted;
  booted.boot_sealed(2, Millis{5000});
  EXPECT_TRUE(booted.parks_reads(t0)) << "nobody knows how old that seal is";
}

TEST(HoldMachine, BootsSealed) {
  HoldMachine m;
  m.boot_sealed(7, Millis{100});
  EXPECT_TRUE(m.parks());
  EXPECT_EQ(m.park_max(), Millis{100});
  EXPECT_EQ(m.release(6).error().code, Code::conflict);
  EXPECT_TRUE(m.release(7));
}

}  // namespace
}  // namespace foreshadow::proxy
