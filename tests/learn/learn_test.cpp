#include <gtest/gtest.h>

#include "learn/label.hpp"
#include "learn/thresholds.hpp"

namespace foreshadow::learn {
namespace {

Outcome predicted(Millis horizon = Millis{10'000}) {
  Outcome o;
  o.predicted_at = time_from_ms(100'000);
  o.horizon = horizon;
  o.score = 0.9;
  o.load_ratio = 1;
  return o;
}

TEST(Label, inside_the_horizon_confirms_after_it_is_late) {
  auto o = predicted();
  o.failed_at = o.predicted_at + Millis{9'000};
  EXPECT_EQ(label(o, 0.9).verdict, Verdict::confirmed);
  o.failed_at = o.predicted_at + Millis{11'000};
  EXPECT_EQ(label(o, 0.9).verdict, Verdict::late);
}

TEST(Label, only_a_full_watch_under_comparable_load_refutes) {
  auto o = predicted();
  EXPECT_EQ(label(o, 0.9).verdict, Verdict::censored);
  o.watched_out = true;
  EXPECT_EQ(label(o, 0.9).verdict, Verdict::refuted);
  o.load_ratio = 0.5;
  EXPECT_EQ(label(o, 0.9).verdict, Verdict::censored);
}

TEST(Label, what_was_not_predicted_is_censored) {
  auto o = predicted(Millis{0});
  o.failed_at = o.predicted_at + Millis{1};
  EXPECT_EQ(label(o, 0.9).verdict, Verdict::censored);
}

std::vector<Outcome> outcomes(int confirmed, int refuted, double score) {
  std::vector<Outcome> list;
  for (int i = 0; i < confirmed + refuted; ++i) {
    auto o = predicted();
    o.score = score;
    o.verdict = i < confirmed ? Verdict::confirmed : Verdict::refuted;
    list.push_back(o);
  }
  return list;
}

TEST(Thresholds, do_not_move_before_ten_resolved) {
  const Tuning now{"r", 0.5, 0.8, 0, 0, ""};
  auto nine = outcomes(0, 9, 0.9);
  nine.push_back(predicted());  // censored does not count
  EXPECT_DOUBLE_EQ(tune(nine, now, {}).critical_threshold, 0.8);
  EXPECT_DOUBLE_EQ(tune(outcomes(0, 10, 0.9), now, {}).critical_threshold, 0.85);
}

TEST(Thresholds, follow_what_came_true_by_small_steps_inside_bounds) {
  Tuning now{"r", 0.5, 0.93, 0, 0, ""};
  EXPECT_DOUBLE_EQ(tune(outcomes(0, 10, 0.9), now, {}).critical_threshold, 0.95);
  now.critical_threshold = 0.8;
  EXPECT_LT(tune(outcomes(20, 0, 0.6), now, {}).critical_threshold, 0.8);
  EXPECT_DOUBLE_EQ(tune(outcomes(18, 2, 0.9), now, {}).critical_threshold, 0.8) << "the scores came true";
}

TEST(Thresholds, the_same_outcomes_do_not_move_them_twice) {
  const Tuning now{"r", 0.5, 0.8, 0, 0, ""};
  const auto list = outcomes(0, 10, 0.9);
  const auto once = tune(list, now, {});
  EXPECT_DOUBLE_EQ(tune(list, once, {}).critical_threshold, once.critical_threshold);
}

}  // namespace
}  // namespace foreshadow::learn
