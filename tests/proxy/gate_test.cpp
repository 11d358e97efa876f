#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <set>

#include "proxy/gate_rig.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::proxy {
namespace {

namespace asio = boost::asio;
using testing::instance;
using testing::segments;
using testing::table;

using testing::GateTest;

TEST_F(GateTest, ServesThePrimaryUntilToldOtherwise) {
  auto pass = gate.try_enter(0, 0);
  ASSERT_TRUE(pass);
  EXPECT_EQ(pass->target().id, "a");
  EXPECT_EQ(pass->side(), Side::current);
  EXPECT_FALSE(pass->mirror());
  EXPECT_EQ(gate.report().in_flight, 1);
  pass->finish(true, Micros{1500});
  pass.reset();
  const auto report = gate.report();
  EXPECT_EQ(report.in_flight, 0);
  EXPECT_EQ(report.segments.at(0).current.requests, 1u);
  EXPECT_EQ(report.segments.at(0).current.errors, 0u);
  EXPECT_EQ(report.segments.at(0).current.latency.total(), 1u);
  EXPECT_EQ(report.segments.size(), 2u);
}

TEST_F(GateTest, APassThatSaysNothingIsAnError) {
  gate.try_enter(1, 0).reset();
  const auto report = gate.report();
  EXPECT_EQ(report.segments.at(1).current.requests, 1u);
  EXPECT_EQ(report.segments.at(1).current.errors, 1u);
}

TEST_F(GateTest, WorkOutsideEverySegmentGoesToTheCurrentSide) {
  put(table(0, 1, 1.0, 1.0));
  auto pass = gate.try_enter(2, 0);
  ASSERT_TRUE(pass);
  EXPECT_EQ(pass->side(), Side::current);
  EXPECT_FALSE(pass->mirror());
  pass->finish(true, Micros{1});
  pass.reset();
  EXPECT_EQ(gate.report().segments.back().segment, kUnmatchedSegment);
}

// Bounds: five standard deviations of the binomial.
TEST_F(GateTest, SplitsAndMirrorsByWeight) {
  put(table(0, 1, 0.3, 0.5));
  int other = 0, mirrored = 0;
  constexpr int n = 20'000;
  for (int i = 0; i < n; ++i) {
    auto pass = gate.try_enter(0, 0);
    other += pass->side() == Side::other;
    mirrored += pass->mirror() != nullptr;
    EXPECT_FALSE(pass->side() == Side::other && pass->mirror()) << "the other side is never mirrored to itself";
    pass->finish(true, Micros{1});
  }
  EXPECT_NEAR(other, n * 0.3, 5 * std::sqrt(n * 0.3 * 0.7));
  EXPECT_NEAR(mirrored, (n - other) * 0.5, 5 * std::sqrt(n * 0.7 * 0.25));
  auto pass = gate.try_enter(1, 0);
  EXPECT_EQ(pass->side(), Side::current) << "a segment without a route stays";
}

TEST_F(GateTest, AClientOnceMovedStaysMovedAsTheWeightGrows) {
  std::set<std::uint64_t> moved;
  std::uint64_t version = 0;
  for (const double weight : {0.01, 0.05, 0.25, 0.5, 0.9, 1.0}) {
    put(table(0, ++version, weight));
    std::set<std::uint64_t> now;
    for (std::uint64_t client = 1; client <= 2000; ++client)
      if (gate.try_enter(0, client)->side() == Side::other) now.insert(client);
    EXPECT_TRUE(std::ranges::includes(now, moved));
    EXPECT_NEAR(static_cast<double>(now.size()), 2000 * weight, 5 * std::sqrt(2000 * weight * (1 - weight)) + 1);
    moved = std::move(now);
  }
  EXPECT_EQ(moved.size(), 2000u);
}

TEST_F(GateTest, HoldDrainsParksAndReleasesInOrder) {
  auto working = gate.try_enter(0, 0);
  ASSERT_TRUE(hold());
  EXPECT_FALSE(held) << "one is in flight";
  EXPECT_FALSE(gate.try_enter(0, 0));
  std::vector<Entered*> waiting;
  for (int i = 0; i < 10; ++i) waiting.push_back(&enter());
  EXPECT_EQ(gate.report().parked, 10);
  EXPECT_EQ(gate.report().hold, HoldState::holding);
  working->finish(true, Micros{1});
  working.reset();
  ASSERT_TRUE(held && held->has_value());
  EXPECT_EQ(gate.report().hold, HoldState::held);

  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  EXPECT_EQ(gate.report().hold, HoldState::open);
  // Whoever comes now must not overtake those who waited.
  auto& late = enter();
  ASSERT_TRUE(until([&] { return late.result && waiting.back()->result; }));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(*waiting[i]->result);
    EXPECT_EQ((*waiting[i]->result)->target().id, "b");
    EXPECT_EQ((*waiting[i]->result)->epoch(), 1u);
    EXPECT_EQ(waiting[i]->order, i + 1);
  }
  entries.clear();
  EXPECT_EQ(gate.report().in_flight, 0);
}

TEST_F(GateTest, TellsHowLongAHoldMadeItsClientsWait) {
  EXPECT_FALSE(gate.report().hold_waits);
  auto working = gate.try_enter(0, 0);
  ASSERT_TRUE(hold());
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) enter();
  while (std::chrono::steady_clock::now() - began < std::chrono::milliseconds{5}) context.run_for(Millis{1});
  EXPECT_EQ(gate.report().hold_waits->drained_in_us, 0U);
  working.reset();
  gate.release(1, 1);
  ASSERT_TRUE(until([&] { return entries.back().result.has_value(); }));
  enter();
  const auto most = std::chrono::steady_clock::now() - began;
  const auto waits = gate.report().hold_waits;
  ASSERT_TRUE(waits);
  EXPECT_EQ(waits->next_epoch, 1U);
  EXPECT_GE(waits->drained_in_us, 5000U);
  EXPECT_EQ(waits->waits.total(), 3U) << "who came later did not wait";
  EXPECT_GE(waits->waits.quantile_us(0), 5000 / 1.02);
  const double most_us = std::chrono::duration<double, std::micro>(most).count();
  EXPECT_LE(waits->waits.quantile_us(1), most_us * 1.02);
  ASSERT_TRUE(hold());
  EXPECT_EQ(gate.report().hold_waits->waits.total(), 0U) << "another hold, another count";
}

TEST_F(GateTest, OverBudgetReleasesEverything) {
  policy.budget = Millis{30};
  auto working = gate.try_enter(0, 0);
  ASSERT_TRUE(hold());
  auto& waiting = enter();
  ASSERT_TRUE(until([&] { return held.has_value() && waiting.result; }));
  EXPECT_EQ(held->error().code, Code::timeout);
  EXPECT_EQ((*waiting.result)->target().id, "a");
  EXPECT_EQ(gate.report().hold, HoldState::open);
  EXPECT_EQ(gate.seal(1, 1).error().code, Code::refused);
}

TEST_F(GateTest, LapseOfTheLeaseReleasesToTheCurrentSide) {
  policy.lease = Millis{50};
  ASSERT_TRUE(hold());
  ASSERT_TRUE(held && held->has_value());
  auto& waiting = enter();
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_EQ((*waiting.result)->target().id, "a");
  EXPECT_EQ(gate.seal(1, 1).error().code, Code::refused);
}

TEST_F(GateTest, SealedWorkWaitsToItsCapAndIsToldHonestly) {
  policy.park_max = Millis{40};
  policy.lease = Millis{60};
  ASSERT_TRUE(hold());
  ASSERT_TRUE(gate.seal(1, 1));
  EXPECT_EQ(gate.state().seal, (SealRecord{1, Millis{40}}));
  auto& waiting = enter();
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_EQ(waiting.result->error().code, Code::timeout);
  EXPECT_EQ(gate.report().parked, 0);
  const auto past_the_lease = std::chrono::steady_clock::now() + policy.lease;
  ASSERT_TRUE(until([&] { return std::chrono::steady_clock::now() > past_the_lease; }));
  EXPECT_FALSE(gate.try_enter(0, 0));
}

TEST_F(GateTest, ParkedWorkIsCapped) {
  ASSERT_TRUE(hold());
  for (int i = 0; i < 100; ++i) enter();
  auto& refused = enter();
  ASSERT_TRUE(refused.result);
  EXPECT_EQ(refused.result->error().code, Code::refused);
  EXPECT_EQ(gate.report().parked, 100);
}

TEST_F(GateTest, SessionsThatCannotFollowForbidTheHold) {
  auto one = gate.unmovable("named prepared statement");
  auto two = gate.unmovable("named prepared statement");
  auto three = gate.unmovable("temporary table");
  const auto refused = hold();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().what.find("named prepared statement (2), temporary table (1)"), std::string::npos);
  EXPECT_EQ(gate.report().hold, HoldState::open);
  EXPECT_EQ(gate.report().unmovable.size(), 2u);
  one = {};
  two = {};
  three = {};
  EXPECT_TRUE(hold());
}

TEST_F(GateTest, AHoldThatAbandonsWaitsForNothingAndNoSessionRefusesIt) {
  const auto mark = gate.unmovable("temporary table");
  auto stuck = gate.try_enter(0, 0);
  ASSERT_TRUE(stuck);
  ASSERT_TRUE(gate.hold(
      1, 1, policy, [this](const Result<void>& r) { held = r; }, std::chrono::steady_clock::now(), InFlight::abandoned));
  ASSERT_TRUE(held) << "what is in flight ends with its server";
  EXPECT_TRUE(*held);
  EXPECT_FALSE(gate.try_enter(0, 0));
  ASSERT_TRUE(gate.seal(1, 1));
  auto after = table(1, 1);
  after.current = instance("b", 9002);
  put(after);
  auto next = gate.try_enter(0, 0);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->target().id, "b");
  EXPECT_EQ(stuck->target().id, "a") << "where it began";
  next->finish(true, Micros{1});
  next.reset();
  // The next hold is one like any other.
  EXPECT_EQ(hold(2).error().code, Code::refused);
}

TEST_F(GateTest, ASessionThatBecomesUnmovableWhileDrainingEndsTheHold) {
  auto working = gate.try_enter(0, 0);
  ASSERT_TRUE(hold());
  auto& waiting = enter();
  const auto mark = gate.unmovable("advisory lock");
  working.reset();
  ASSERT_TRUE(held);
  EXPECT_EQ(held->error().code, Code::refused);
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_TRUE(*waiting.result);
}

TEST_F(GateTest, StaleTermsAndEpochsAreRefused) {
  auto t = table(3, 1);
  t.term = 5;
  put(t);
  EXPECT_EQ(gate.hold(4, 4, policy, {}).error().code, Code::conflict);
  EXPECT_EQ(gate.hold(5, 3, policy, {}).error().code, Code::conflict) << "epoch 3 is in force";
  ASSERT_TRUE(gate.hold(6, 4, policy, [](const Result<void>&) {}));
  EXPECT_EQ(gate.seal(5, 4).error().code, Code::conflict) << "term 6 has been here";
  EXPECT_EQ(gate.propose_release(5, 4).error().code, Code::conflict);
  EXPECT_EQ(gate.propose(t).error().code, Code::conflict);
  EXPECT_TRUE(gate.seal(6, 4));
  EXPECT_TRUE(gate.propose_release(6, 4));
}

TEST_F(GateTest, ReleaseGoesBackToTheCurrentSide) {
  ASSERT_TRUE(hold());
  ASSERT_TRUE(gate.seal(1, 1));
  auto& waiting = enter();
  const auto next = gate.propose_release(1, 1);
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->seal);
  EXPECT_EQ(gate.report().hold, HoldState::sealed) << "proposing changes nothing";
  gate.release(1, 1);
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_EQ((*waiting.result)->target().id, "a");
  EXPECT_TRUE(gate.propose_release(1, 1)) << "again is a success";
}

TEST_F(GateTest, AHoldGoesOnThroughATableOfTheSameEpoch) {
  ASSERT_TRUE(hold());
  put(table(0, 1, 0.5));
  EXPECT_EQ(gate.report().hold, HoldState::held);
}

TEST_F(GateTest, ACoroutineDestroyedWhileParkedLeavesNoTrace) {
  {
    asio::io_context doomed;
    GateImpl brief{doomed.get_executor(), {"shop", segments(), instance("a", 9001), 100, 1}};
    ASSERT_TRUE(brief.hold(1, 1, policy, [](const Result<void>&) {}));
    asio::cancellation_signal cancel;
    std::optional<Code> seen;
    asio::co_spawn(
        doomed,
        [](GateImpl& g, std::optional<Code>& out) -> asio::awaitable<void> {
          const auto pass = co_await g.enter(0, 0);
          if (!pass) out = pass.error().code;
        }(brief, seen),
        asio::bind_cancellation_slot(cancel.slot(), asio::detached));
    doomed.poll();
    EXPECT_EQ(brief.report().parked, 1);
    cancel.emit(asio::cancellation_type::terminal);
    doomed.restart();
    doomed.poll();
    EXPECT_EQ(brief.report().parked, 0);
    EXPECT_EQ(seen, Code::cancelled);
    brief.close();
  }
}

TEST_F(GateTest, BootsIntoItsSeal) {
  ASSERT_TRUE(hold(1));
  ASSERT_TRUE(gate.seal(1, 1));
  const auto states = decode_states(encode_states({{"shop", gate.state()}}));
  ASSERT_TRUE(states) << states.error().what;
  GateImpl again{context.get_executor(), {"shop", segments(), instance("z", 1), 100, 1}, states->at("shop")};
  EXPECT_EQ(again.report().hold, HoldState::sealed);
  EXPECT_FALSE(again.try_enter(0, 0));
  EXPECT_EQ(again.table().current.id, "a");
  EXPECT_EQ(again.propose_release(0, 1).error().code, Code::conflict) << "the term was remembered";
  EXPECT_EQ(again.state(), gate.state());
  again.close();
}

TEST_F(GateTest, AHoldDoesNotOutliveItsProcess) {
  ASSERT_TRUE(hold(1));
  const auto state = gate.state();
  ASSERT_TRUE(state.hold);
  GateImpl again{context.get_executor(), {"shop", segments(), instance("a", 9001), 100, 1}, state};
  EXPECT_EQ(again.report().hold, HoldState::open);
  EXPECT_EQ(again.seal(1, 1).error().code, Code::refused);
  again.close();
}

TEST(GateState, DamageIsNamed) {
  EXPECT_EQ(decode_states("").error().code, Code::corrupt);
  EXPECT_EQ(decode_states("{\"format\":1}").error().code, Code::corrupt);
  EXPECT_EQ(decode_states("{\"format\":2,\"resources\":{}}").error().code, Code::conflict);
  const auto whole = encode_states({{"shop", GateState{.table = table(1, 2, 0.5)}}});
  for (std::size_t n = 0; n + 2 < whole.size(); ++n) EXPECT_FALSE(decode_states(whole.substr(0, n))) << n;
  EXPECT_EQ(decode_states(whole)->at("shop").table, table(1, 2, 0.5));
}

}  // namespace
}  // namespace foreshadow::proxy
