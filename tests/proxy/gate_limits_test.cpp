// Queues before busy instances, and instances that are left alone.
#include "proxy/gate_rig.hpp"

namespace foreshadow::proxy {
namespace {

using testing::GateTest;
using testing::instance;
using testing::table;

void end(std::optional<Result<Pass>>& result, Failure failure = Failure::none) {
  ASSERT_TRUE(result && *result);
  (*result)->finish(failure, Micros{1});
  result.reset();
}

struct GateQueue : GateTest {
  GateQueue() : GateTest({.at_once_max = 2, .queued_max = 3, .queue_timeout = Millis{10'000}}) {}
  InstanceStats at(std::size_t i) const { return gate.report().instances.at(i); }
};

TEST_F(GateQueue, LetsSoManyInAndTheRestInTheOrderTheyCame) {
  std::vector<Entered*> all;
  for (int i = 0; i < 5; ++i) all.push_back(&enter());
  EXPECT_TRUE(all[0]->result && all[1]->result);
  EXPECT_FALSE(all[2]->result);
  EXPECT_EQ(at(0).busy, 2);
  EXPECT_EQ(at(0).queued, 3);
  auto& beyond = enter();
  ASSERT_TRUE(beyond.result);
  EXPECT_EQ(beyond.result->error().code, Code::refused);
  EXPECT_FALSE(gate.try_enter(0, 0));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(until([&] { return all[static_cast<std::size_t>(i)]->result.has_value(); }));
    EXPECT_EQ(all[static_cast<std::size_t>(i)]->order, i + 1 + (i >= 2));  // the refused one came third
    end(all[static_cast<std::size_t>(i)]->result);
  }
  EXPECT_EQ(at(0).busy, 0);
  EXPECT_EQ(at(0).waited, 3u);
  EXPECT_EQ(at(0).wait.total(), 3u);
  EXPECT_EQ(gate.report().segments.at(0).refusals.queue_full, 1u);
}

struct GateImpatient : GateTest {
  GateImpatient() : GateTest({.at_once_max = 1, .queued_max = 3, .queue_timeout = Millis{30}}) {}
};

TEST_F(GateImpatient, NobodyQueuesForLong) {
  auto busy = gate.try_enter(0, 0);
  auto& waiting = enter();
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_EQ(waiting.result->error().code, Code::timeout);
  EXPECT_NE(waiting.result->error().what.find("nothing was sent"), std::string::npos);
  EXPECT_EQ(gate.report().instances.at(0).queued, 0);
  EXPECT_EQ(gate.report().segments.at(0).refusals.queued_too_long, 1u);
}

// The current side may change without a hold, when the old one died. It may be there still, as the other one.
TEST_F(GateQueue, WhoQueuesForASideThatIsNoLongerCurrentGoesToTheOneThatIs) {
  auto first = gate.try_enter(1, 0), second = gate.try_enter(1, 0);
  auto& queued = enter(1);
  ASSERT_FALSE(queued.result);
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  next.other = instance("a", 9001);
  put(next);
  ASSERT_TRUE(until([&] { return queued.result.has_value(); }));
  EXPECT_EQ((*queued.result)->target().id, "b");
  EXPECT_EQ((*queued.result)->side(), Side::current);
  end(queued.result);
  first->finish(true, Micros{1});
  second->finish(true, Micros{1});
}

// What waits for a busy instance has not begun: it must neither delay a drain nor be lost in it.
TEST_F(GateImpatient, AHoldParksTheQueueAheadOfAllThatComes) {
  auto busy = gate.try_enter(1, 0);
  auto& queued = enter(1);
  ASSERT_TRUE(hold());
  EXPECT_EQ(gate.report().parked, 1);
  EXPECT_EQ(gate.report().instances.at(0).queued, 0);
  auto& late = enter(1);
  busy->finish(true, Micros{1});
  busy.reset();
  ASSERT_TRUE(held && held->has_value());
  EXPECT_FALSE(queued.result) << "its place is free, but there is a hold";
  const auto past = std::chrono::steady_clock::now() + Millis{60};
  ASSERT_TRUE(until([&] { return std::chrono::steady_clock::now() > past; }));
  EXPECT_FALSE(queued.result) << "the queue's patience is not what counts now";
  ASSERT_TRUE(gate.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  ASSERT_TRUE(until([&] { return queued.result.has_value(); }));
  EXPECT_EQ((*queued.result)->target().id, "b");
  EXPECT_FALSE(late.result) << "the new side has the same limit";
  end(queued.result);
  ASSERT_TRUE(until([&] { return late.result.has_value(); }));
  EXPECT_EQ((*late.result)->target().id, "b");
}

struct GateRelease : GateTest {
  GateRelease() : GateTest({.release_concurrency = 2}) {}
  // How many of those that were parked have begun.
  int begun() {
    int n = 0;
    for (const auto& entry : entries) n += entry.result.has_value();
    return n;
  }
};

TEST_F(GateRelease, ParkedWorkBeginsInOrderAndNotAllAtOnce) {
  ASSERT_TRUE(hold());
  for (int i = 0; i < 12; ++i) enter(1);
  ASSERT_TRUE(gate.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  EXPECT_EQ(gate.report().in_flight, 2);
  EXPECT_EQ(gate.report().parked, 10);
  EXPECT_FALSE(gate.try_enter(1, 0, Work::write)) << "it would overtake";
  // What comes now goes behind.
  enter(1);
  auto first = entries.begin();
  context.poll();
  ASSERT_TRUE(first->result);
  end(first->result);
  EXPECT_EQ(gate.report().in_flight, 3) << "for one that ended, two more";
  int ended = 1;
  while (ended < 13) {
    ASSERT_TRUE(until([&] { return begun() > 0; }));
    for (auto& entry : entries)
      if (entry.result) {
        EXPECT_EQ(entry.order, ++ended);
        EXPECT_EQ((*entry.result)->target().id, "b");
        end(entry.result);
      }
  }
  EXPECT_TRUE(gate.try_enter(1, 0, Work::write));
}

TEST_F(GateRelease, ReadsHaveNotWaitedAndDoNotBeginTo) {
  ASSERT_TRUE(hold());
  for (int i = 0; i < 12; ++i) enter(1);
  gate.release(1, 1);
  EXPECT_TRUE(gate.try_enter(1, 0, Work::read));
}

// A connection of the kind tcp lasts: others must not wait for its end.
TEST_F(GateRelease, WorkThatLastsKeepsNobodyWaiting) {
  ASSERT_TRUE(hold());
  for (int i = 0; i < 12; ++i) enter(1);
  gate.release(1, 1);
  EXPECT_LT(gate.report().in_flight, 12);
  EXPECT_TRUE(until([&] { return begun() == 12; }));
}

TEST_F(GateRelease, AnotherHoldParksWhoStillWaits) {
  ASSERT_TRUE(hold());
  for (int i = 0; i < 12; ++i) enter(1);
  gate.release(1, 1);
  ASSERT_TRUE(hold());
  const auto still = gate.report().parked;
  EXPECT_EQ(still, 10);
  context.restart();
  context.run_for(std::chrono::milliseconds{50});
  EXPECT_EQ(gate.report().parked, still);
  gate.release(1, 1);
  EXPECT_TRUE(until([&] { return begun() == 12; }));
}

TEST_F(GateImpatient, AShadowThatGoesLeavesItsQueueToTheCurrentSide) {
  put(table(0, 1, 1.0));
  auto& there = enter(0);
  ASSERT_TRUE(there.result);
  EXPECT_EQ((*there.result)->target().id, "b");
  auto& waiting = enter(0);
  EXPECT_FALSE(waiting.result);
  put(table(0, 2));
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_EQ((*waiting.result)->target().id, "a");
  end(there.result);
  EXPECT_EQ(gate.report().instances.size(), 1u);
}

struct GateBreaker : GateTest {
  GateBreaker()
      : GateTest({.breaker = {.consecutive = 3, .open = Millis{300}, .open_max = Millis{600}},
                  .outlier = {.consecutive = 3, .share = 0, .open = Millis{300}, .open_max = Millis{600}}}) {}
  void one(Failure failure, const InstanceId& at, std::size_t segment = 0) {
    auto pass = gate.try_enter(segment, 0);
    ASSERT_TRUE(pass);
    EXPECT_EQ(pass->target().id, at);
    pass->finish(failure, Micros{1});
  }
  InstanceStats at(std::size_t i) const { return gate.report().instances.at(i); }
};

TEST_F(GateBreaker, ACurrentSideThatTakesNoConnectionsIsRefusedAtOnceAndTriedAgain) {
  for (int i = 0; i < 3; ++i) one(Failure::connect, "a");
  EXPECT_EQ(at(0).circuit, CircuitState::open);
  EXPECT_FALSE(gate.try_enter(0, 0));
  auto& refused = enter();
  ASSERT_TRUE(refused.result);
  EXPECT_EQ(refused.result->error().code, Code::refused);
  EXPECT_NE(refused.result->error().what.find("nothing was sent"), std::string::npos);
  EXPECT_EQ(gate.report().segments.at(0).refusals.circuit_open, 1u);
  ASSERT_TRUE(until([&] { return at(0).circuit == CircuitState::half_open; }));
  auto& trying = enter();
  ASSERT_TRUE(trying.result && *trying.result);
  EXPECT_FALSE(*enter().result) << "one at a time";
  end(trying.result);
  EXPECT_EQ(at(0).circuit, CircuitState::closed);
  EXPECT_TRUE(gate.try_enter(0, 0));
}

TEST_F(GateBreaker, ACurrentSideIsNeverGivenUpForWhatItAnswers) {
  put(table(0, 1, 0.0, 1.0));
  for (const auto failure : {Failure::status_5xx, Failure::reset, Failure::timeout, Failure::protocol})
    for (int i = 0; i < 20; ++i) one(failure, "a");
  EXPECT_EQ(at(0).circuit, CircuitState::closed);
  EXPECT_EQ(gate.report().segments.at(0).diverted, 0u);
}

TEST_F(GateBreaker, AFailingShadowsWorkGoesToTheCurrentSideAndComesBack) {
  put(table(0, 1, 1.0));
  for (int i = 0; i < 3; ++i) one(Failure::status_5xx, "b");
  EXPECT_EQ(at(1).circuit, CircuitState::open);
  EXPECT_NE(at(1).why.find("500"), std::string::npos) << at(1).why;
  for (int i = 0; i < 10; ++i) one(Failure::none, "a");
  EXPECT_EQ(gate.report().segments.at(0).diverted, 10u);
  ASSERT_TRUE(until([&] { return at(1).circuit == CircuitState::half_open; }));
  one(Failure::none, "b");
  EXPECT_EQ(at(1).circuit, CircuitState::closed);
  one(Failure::none, "b");
}

TEST_F(GateBreaker, AShadowIsTriedWithCopiesWhereThereAreAny) {
  put(table(0, 1, 1.0, 1.0));
  for (int i = 0; i < 3; ++i) one(Failure::reset, "b");
  auto copies = [&] {
    auto pass = gate.try_enter(0, 0);
    EXPECT_EQ(pass->target().id, "a") << "no client need be the one who tries";
    const bool copied = pass->mirror() != nullptr;
    pass->finish(true, Micros{1});
    return copied;
  };
  EXPECT_FALSE(copies());
  EXPECT_FALSE(copies());
  EXPECT_EQ(gate.report().segments.at(0).mirror.paused, 2u);
  ASSERT_TRUE(until([&] { return at(1).circuit == CircuitState::half_open; }));
  EXPECT_TRUE(copies());
  gate.mirrored(0, {.shadow = "b", .error = true});
  EXPECT_EQ(at(1).circuit, CircuitState::open);
  EXPECT_EQ(gate.report().segments.at(0).mirror.paused_in_vain, 2u) << "they would have failed, too";
  EXPECT_FALSE(copies());
  ASSERT_TRUE(until([&] { return at(1).circuit == CircuitState::half_open; }));
  EXPECT_TRUE(copies());
  gate.mirrored(0, {.shadow = "b"});
  EXPECT_EQ(at(1).circuit, CircuitState::closed);
  EXPECT_EQ(gate.report().segments.at(0).mirror.paused_in_vain, 2u) << "the third is not known";
  one(Failure::none, "b");
}

TEST_F(GateBreaker, AShadowIsNotBlamedForWhatItsPrimaryCannotDoEither) {
  put(table(0, 1, 0.0, 1.0));
  for (int i = 0; i < 20; ++i) gate.mirrored(0, {.shadow = "b", .error = true, .primary_failed = true});
  EXPECT_EQ(at(1).circuit, CircuitState::closed);
  for (int i = 0; i < 20; ++i) gate.mirrored(0, {.dropped = true});
  EXPECT_EQ(at(1).circuit, CircuitState::closed);
  for (int i = 0; i < 3; ++i) gate.mirrored(0, {.shadow = "b", .error = true});
  EXPECT_EQ(at(1).circuit, CircuitState::open);
}

TEST_F(GateBreaker, LateCopiesToAnEarlierShadowAreNotHeldAgainstItsSuccessor) {
  put(table(0, 1, 0.0, 1.0));
  auto next = table(0, 2, 0.0, 1.0);
  next.other = instance("c", 9003);
  put(next);
  for (int i = 0; i < 20; ++i) gate.mirrored(0, {.shadow = "b", .error = true});
  EXPECT_EQ(at(1).instance, "c");
  EXPECT_EQ(at(1).circuit, CircuitState::closed);
  for (int i = 0; i < 3; ++i) gate.mirrored(0, {.shadow = "c", .error = true});
  EXPECT_EQ(at(1).circuit, CircuitState::open);
}

TEST_F(GateBreaker, ASideThatIsHandedOverToBeginsAnew) {
  put(table(0, 1, 1.0));
  for (int i = 0; i < 3; ++i) one(Failure::status_5xx, "b");
  ASSERT_TRUE(hold());
  ASSERT_TRUE(gate.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  one(Failure::none, "b");
  EXPECT_EQ(at(0).circuit, CircuitState::closed);
}

// The old side may be stopped while its successor is not open yet: that must not look like a refusal.
TEST_F(GateBreaker, InAHoldAReadThatFindsTheCurrentSideLeftAloneWaits) {
  for (int i = 0; i < 3; ++i) one(Failure::connect, "a");
  ASSERT_TRUE(hold());
  auto& reading = enter(0, 0, Work::read);
  EXPECT_FALSE(reading.result);
  EXPECT_EQ(gate.report().parked, 1);
  ASSERT_TRUE(gate.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  ASSERT_TRUE(until([&] { return reading.result.has_value(); }));
  EXPECT_TRUE(*reading.result);
}

struct GateWaits : GateTest {
  GateWaits()
      : GateTest({.breaker = {.consecutive = 5, .open = Millis{200}, .open_max = Millis{400}},
                  .unreachable_wait = Millis{10'000}}) {}
  // The current side takes no connections: one unit of work found out, and is given back.
  void lose() {
    auto pass = gate.try_enter(1, 0);
    ASSERT_TRUE(pass);
    pass->give_back(Failure::connect);
  }
};

TEST_F(GateWaits, ForASideThatTakesNoConnectionsOneAtATimeTries) {
  lose();
  EXPECT_FALSE(gate.try_enter(1, 0));
  auto& first = enter(1);
  auto& second = enter(1);
  EXPECT_FALSE(first.result || second.result);
  EXPECT_EQ(gate.report().instances.at(0).queued, 2);
  ASSERT_TRUE(until([&] { return first.result.has_value(); })) << "a try comes by itself";
  EXPECT_FALSE(second.result);
  ASSERT_TRUE(*first.result);
  (*first.result)->give_back(Failure::connect);
  first.result.reset();
  ASSERT_TRUE(until([&] { return second.result.has_value(); })) << "and another";
  auto& third = enter(1);
  EXPECT_FALSE(third.result);
  end(second.result);
  ASSERT_TRUE(until([&] { return third.result.has_value(); })) << "it is well again";
  end(third.result);
  EXPECT_EQ(gate.report().segments.at(1).refused, 0u);
}

TEST_F(GateWaits, WhoWaitsGoesToTheSideThatReplacesIt) {
  lose();
  std::vector<Entered*> all;
  for (int i = 0; i < 5; ++i) all.push_back(&enter(1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  for (auto* one : all) {
    ASSERT_TRUE(until([&] { return one->result.has_value(); }));
    ASSERT_TRUE(*one->result);
    EXPECT_EQ((*one->result)->target().id, "b");
    end(one->result);
  }
}

TEST_F(GateWaits, AHoldTakesThemOver) {
  lose();
  auto& waiting = enter(1);
  EXPECT_FALSE(waiting.result);
  ASSERT_TRUE(hold());
  ASSERT_TRUE(held && held->has_value());
  EXPECT_EQ(gate.report().parked, 1);
  ASSERT_TRUE(gate.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  EXPECT_EQ((*waiting.result)->target().id, "b");
  end(waiting.result);
}

struct GateWaitsShortly : GateTest {
  GateWaitsShortly()
      : GateTest({.breaker = {.open = Millis{10'000}, .open_max = Millis{10'000}}, .unreachable_wait = Millis{30}}) {}
};

TEST_F(GateWaitsShortly, NotForEver) {
  auto pass = gate.try_enter(1, 0);
  pass->give_back(Failure::connect);
  pass.reset();
  auto& waiting = enter(1);
  ASSERT_TRUE(until([&] { return waiting.result.has_value(); }));
  ASSERT_FALSE(*waiting.result);
  EXPECT_EQ(waiting.result->error().code, Code::timeout);
  EXPECT_NE(waiting.result->error().what.find("nothing was sent"), std::string::npos);
  EXPECT_EQ(gate.report().segments.at(1).refusals.circuit_open, 1u);
}

}  // namespace
}  // namespace foreshadow::proxy
