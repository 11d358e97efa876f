#include "kinds/http/trial/evidence.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace foreshadow::kinds::http {
namespace {

// A fair bet: as likely to be ahead by so much as to be behind by it.
double fair(Random& random) { return (static_cast<double>(random.below(20)) - 9.5) / 10; }

TEST(Evidence, BeginsAtOneAndNothingMovesItByItself) {
  Evidence evidence;
  EXPECT_DOUBLE_EQ(evidence.value(), 1);
  for (int i = 0; i < 1000; ++i) evidence.add(0);
  EXPECT_NEAR(evidence.value(), 1, 1e-9);
}

TEST(Evidence, LooksAsOftenAsOneLikesAndIsWrongNoMoreOftenThanItSays) {
  constexpr int runs = 2000, looks = 1000;
  constexpr double alpha = 0.05;
  Random random(11);
  int alarms = 0;
  for (int run = 0; run < runs; ++run) {
    Evidence evidence;
    for (int i = 0; i < looks && evidence.value() < 1 / alpha; ++i) evidence.add(fair(random));
    alarms += evidence.value() >= 1 / alpha;
  }
  EXPECT_LE(alarms, alpha * runs);
  EXPECT_GT(alarms, 0) << "never wrong would mean never right";
}

TEST(Evidence, HarmShowsSoonWhenItWasThereFromTheBeginning) {
  Evidence evidence;
  while (evidence.value() < 100) evidence.add(0.95);
  EXPECT_LE(evidence.seen(), 12u);
}

TEST(Evidence, HarmThatBeginsLateIsFoundAllTheSame) {
  Random random(5);
  Evidence evidence;
  for (int i = 0; i < 10'000; ++i) evidence.add(fair(random));
  ASSERT_LT(evidence.value(), 100);
  const auto before = evidence.seen();
  while (evidence.value() < 100) evidence.add(0.9);
  EXPECT_LE(evidence.seen() - before, 60u) << "blocks of one second";
}

TEST(Evidence, ThatMirroringMakesThingsFasterIsNoHarm) {
  Evidence evidence;
  for (int i = 0; i < 1000; ++i) evidence.add(-0.95);
  EXPECT_LT(evidence.value(), 1);
}

}  // namespace
}  // namespace foreshadow::kinds::http
