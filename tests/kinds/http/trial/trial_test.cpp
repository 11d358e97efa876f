#include "kinds/http/trial/trial.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace foreshadow::kinds::http {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

// A primary under requests that come evenly, whose latency wanders: each is like the one before (AR(1) of 0.98), some
// are ten times as long, and what mirroring adds is the test's.
struct World {
  MirrorTrial trial;
  Random random;
  MirrorTrial::Steady::time_point now{1h};
  microseconds between{5ms};
  double wander = 0;
  int mirrored = 0, control = 0;
  // Factor on the latency of a request in a slot with mirroring, at the rate of the moment.
  std::function<double(double rate)> harm = [](double) { return 1.0; };

  explicit World(std::uint64_t seed, TrialSettings settings = {}) : trial(settings, seed), random(seed + 1) {}

  void run(int blocks) {
    const auto ends = now + TrialSettings{}.slot * MirrorTrial::kSlots * blocks;
    for (; now < ends; now += between) {
      const auto ticket = trial.admit(random.below(2), now);
      wander = 0.98 * wander + 0.1 * random.normal();
      double us = (ticket.segment == 0 ? 2000 : 20'000) * std::exp(wander + 0.2 * random.normal());
      if (random.chance(0.01)) us *= 10;
      const bool in_control = ticket.fate == MirrorTrial::Ticket::Fate::control;
      ++(in_control ? control : mirrored);
      if (!in_control) us *= harm(trial.pace().rate);
      trial.finish(ticket, true, microseconds{static_cast<std::int64_t>(us)});
    }
  }
};

TEST(MirrorTrial, OneSlotOfTwentyIsWithoutMirroring) {
  World world(1);
  world.run(100);
  EXPECT_NEAR(static_cast<double>(world.control) / (world.control + world.mirrored), 0.05, 0.005);
  EXPECT_GE(world.trial.pace().blocks, 97u);
  EXPECT_EQ(world.trial.pace().control, static_cast<std::uint64_t>(world.control));
}

TEST(MirrorTrial, InStepTwoTrialsRestInTheSameSlots) {
  MirrorTrial one(TrialSettings{.in_step = 7}, 1), two(TrialSettings{.in_step = 7}, 2), other({.in_step = 8}, 1);
  int rests = 0, apart = 0;
  // They begin at different times, and meet different requests.
  one.admit(0, MirrorTrial::Steady::time_point{1h - 123ms});
  for (MirrorTrial::Steady::time_point now{1h}; now < MirrorTrial::Steady::time_point{1h + 100s}; now += 7ms) {
    const auto control = MirrorTrial::Ticket::Fate::control;
    const bool rest = one.admit(0, now).fate == control;
    if (now.time_since_epoch() % 3 == 0ns) {
      EXPECT_EQ(two.admit(1, now).fate == control, rest);
      apart += (other.admit(1, now).fate == control) != rest;
    }
    rests += rest;
  }
  EXPECT_NEAR(rests, 100'000 / 7 / 20, 100);
  EXPECT_GT(apart, 100);
}

TEST(MirrorTrial, WithoutHarmItIsWrongNoMoreOftenThanItSays) {
  constexpr int runs = 100;
  TrialSettings settings;
  settings.alpha = 0.05;
  settings.harmless_share = 0;
  settings.harmless_delay = 0us;
  int slowed_down = 0;
  for (int run = 0; run < runs; ++run) {
    World world(static_cast<std::uint64_t>(run) * 7919, settings);
    world.between = 20ms;
    world.run(150);
    slowed_down += world.trial.pace().slowed_down > 0;
  }
  EXPECT_LE(slowed_down, settings.alpha * runs) << "of " << runs << " runs";
}

TEST(MirrorTrial, HarmSlowsItDownWithinAMinute) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world(seed);
    world.harm = [](double) { return 1.5; };
    world.run(60);
    EXPECT_GE(world.trial.pace().slowed_down, 1u) << seed;
    EXPECT_LE(world.trial.pace().rate, 0.5) << seed;
  }
}

TEST(MirrorTrial, WhatNobodyNoticesIsNoHarm) {
  World world(3);
  world.harm = [](double) { return 1.04; };
  world.run(600);
  EXPECT_EQ(world.trial.pace().slowed_down, 0u);
  EXPECT_EQ(world.trial.pace().rate, 1);
}

TEST(MirrorTrial, ItSettlesBelowTheRateThatHarmsAndComesBackWhenNothingDoes) {
  World world(4);
  world.harm = [](double rate) { return rate > 0.3 ? 2.0 : 1.0; };
  world.run(120);
  EXPECT_LE(world.trial.pace().rate, 0.45);
  const auto slowed_down = world.trial.pace().slowed_down;
  EXPECT_GE(slowed_down, 2u);
  world.harm = [](double) { return 1.0; };
  world.run(900);
  EXPECT_EQ(world.trial.pace().rate, 1);
  EXPECT_EQ(world.trial.pace().slowed_down, slowed_down);
}

TEST(MirrorTrial, AtALowerRateTheRestIsThrottled) {
  World world(5);
  world.harm = [](double) { return 3.0; };
  while (world.trial.pace().rate > 0.5) world.run(1);
  int mirrored = 0, throttled = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto ticket = world.trial.admit(0, world.now);
    mirrored += ticket.fate == MirrorTrial::Ticket::Fate::mirrored;
    throttled += ticket.fate == MirrorTrial::Ticket::Fate::throttled;
    world.trial.finish(ticket, true, 1ms);
    world.now += 100us;
  }
  EXPECT_NEAR(mirrored / static_cast<double>(mirrored + throttled), 0.5, 0.05);
}

TEST(MirrorTrial, NeverStopsAltogether) {
  World world(6);
  world.harm = [](double) { return 3.0; };
  world.run(400);
  EXPECT_GE(world.trial.pace().rate, 0.01);
  EXPECT_LE(world.trial.pace().rate, 0.1);
}

// Two requests a slot, of which every other one, where there is mirroring, fails, or is never answered, or is given up
// by its client.
enum class Ending { fails, stays_out, given_up };
std::uint64_t slowed_down_by(Ending ending) {
  MirrorTrial trial({}, 9);
  Random random(10);
  MirrorTrial::Steady::time_point now{1h};
  for (int i = 0; i < 60 * 40; ++i, now += 25ms) {
    const auto ticket = trial.admit(0, now);
    const microseconds took{1000 + random.below(2000)};
    const bool well = ticket.fate == MirrorTrial::Ticket::Fate::control || random.chance(0.5);
    if (well || ending == Ending::fails)
      trial.finish(ticket, well, took);
    else if (ending == Ending::given_up)
      trial.forget(ticket);
  }
  return trial.pace().slowed_down;
}

TEST(MirrorTrial, FailuresAndAnswersThatDoNotComeAreHarmToo) {
  EXPECT_GE(slowed_down_by(Ending::fails), 1u);
  EXPECT_GE(slowed_down_by(Ending::stays_out), 1u);
  EXPECT_EQ(slowed_down_by(Ending::given_up), 0u);
}

TEST(MirrorTrial, AnswersThatComeLongAfterwardsAreNoTrouble) {
  MirrorTrial trial({}, 2);
  MirrorTrial::Steady::time_point now{1h};
  std::vector<MirrorTrial::Ticket> late;
  for (int i = 0; i < 5000; ++i, now += 10ms) late.push_back(trial.admit(static_cast<std::size_t>(i % 200), now));
  for (const auto& ticket : late) trial.finish(ticket, true, 50s);
  trial.finish({.block = 999'999}, true, 1ms);
  EXPECT_GT(trial.pace().blocks, 40u);
  // Far away, and back: clocks that are read by different sessions need not come in order.
  trial.admit(0, now + 100h);
  const auto ticket = trial.admit(0, now);
  EXPECT_EQ(ticket.slot, 0u);
  trial.finish(ticket, true, microseconds{-5});
}

}  // namespace
}  // namespace foreshadow::kinds::http
