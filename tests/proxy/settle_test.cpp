// What sessions do where a handover turns, and who waits for it.
#include <gtest/gtest.h>

#include "gate_rig.hpp"
#include "proxy/settler.hpp"

namespace foreshadow::proxy {
namespace {

using namespace testing;

struct Sessions final : Settler {
  std::vector<Turn> turns;
  std::vector<Stay> stays;
  bool at_once = false;
  void turn(Turn turn, Stay stay) override {
    turns.push_back(turn);
    if (!at_once) stays.push_back(std::move(stay));
  }
};
using Turns = std::vector<Settler::Turn>;

struct SettleTest : GateTest {
  std::shared_ptr<Sessions> sessions = std::make_shared<Sessions>();
  SettleTest() { gate.settle_by(sessions); }
};

TEST_F(SettleTest, AHoldIsCompleteOnceSessionsHaveSettled) {
  auto working = gate.try_enter(0, 0);
  ASSERT_TRUE(hold());
  EXPECT_TRUE(sessions->turns.empty()) << "work is in flight";
  working.reset();
  EXPECT_EQ(sessions->turns, Turns{Settler::Turn::drained});
  context.restart();
  context.run_for(Millis{20});
  EXPECT_FALSE(held);
  EXPECT_EQ(gate.report().hold, HoldState::holding);
  sessions->stays.clear();
  ASSERT_TRUE(until([&] { return held.has_value(); }));
  EXPECT_TRUE(*held);
  EXPECT_EQ(sessions->turns.size(), 1U) << "once a hold";
}

TEST_F(SettleTest, WhoFindsThatItCannotFollowRefusesTheHold) {
  ASSERT_TRUE(hold());
  const auto mark = gate.unmovable("advisory lock that was taken too often");
  sessions->stays.clear();
  ASSERT_TRUE(until([&] { return held.has_value(); }));
  EXPECT_EQ(held->error().code, Code::refused);
  EXPECT_FALSE(gate.parks());
}

TEST_F(SettleTest, WhoDoesNotSettleInTheBudgetIsGoneWithout) {
  policy.budget = Millis{30};
  ASSERT_TRUE(hold());
  ASSERT_TRUE(until([&] { return held.has_value(); }));
  EXPECT_EQ(held->error().code, Code::timeout);
  EXPECT_NE(held->error().what.find("had not settled"), std::string::npos);
  // Coming late it does not count for the next hold.
  policy.budget = Millis{5000};
  ASSERT_TRUE(hold());
  ASSERT_EQ(sessions->turns.size(), 2U);
  sessions->stays.erase(sessions->stays.begin());
  context.restart();
  context.run_for(Millis{20});
  EXPECT_FALSE(held);
  sessions->stays.clear();
  EXPECT_TRUE(until([&] { return held.has_value(); }));
}

TEST_F(SettleTest, ParkedWorkWaitsUntilSessionsHaveArrived) {
  sessions->at_once = true;
  ASSERT_TRUE(hold());
  ASSERT_TRUE(until([&] { return held.has_value(); }));
  ASSERT_TRUE(gate.seal(1, 1));
  bool heard = false;
  gate.hear_out([&] { heard = true; });
  EXPECT_TRUE(until([&] { return heard; }));
  auto& waiting = enter();
  sessions->at_once = false;
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  EXPECT_EQ(sessions->turns, (Turns{Settler::Turn::drained, Settler::Turn::sealed, Settler::Turn::opening}));
  EXPECT_EQ(gate.report().hold, HoldState::open) << "nothing of it may be found on disk";
  EXPECT_TRUE(gate.parks());
  EXPECT_FALSE(gate.try_enter(0, 0));
  auto& late = enter();
  EXPECT_FALSE(waiting.result);
  sessions->stays.clear();
  ASSERT_TRUE(until([&] { return late.result.has_value(); }));
  EXPECT_LT(waiting.order, late.order);
  EXPECT_EQ((*waiting.result)->target().id, "b");
  EXPECT_FALSE(gate.parks());
  entries.clear();
}

TEST_F(SettleTest, WithoutSessionsNobodyWaits) {
  sessions.reset();
  ASSERT_TRUE(hold());
  EXPECT_TRUE(held);
  bool heard = false;
  gate.hear_out([&] { heard = true; });
  EXPECT_TRUE(heard);
}

}  // namespace
}  // namespace foreshadow::proxy
