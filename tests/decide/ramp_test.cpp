#include "decide/ramp.hpp"

#include <gtest/gtest.h>

namespace foreshadow::decide {
namespace {

Lifecycle with_segments(bool shares_data) {
  Lifecycle l;
  l.resource.traits.shares_data = shares_data;
  l.resource.segments = {{"orders", true, true, Millis{0}, 0.9},
                         {"browse", false, false, Millis{0}, 0.5},
                         {"reports", false, false, Millis{10'000}, 0.1}};
  for (const auto& s : l.resource.segments) l.segments.push_back({s.id, 0, Time{}, {}, {}});
  return l;
}

TEST(Ramp, least_sensitive_moves_first_and_writes_last) {
  EXPECT_EQ(shift_order(with_segments(true).resource), (std::vector<std::size_t>{2, 1, 0}));
}

TEST(Ramp, with_data_of_its_own_only_declared_staleness_moves) {
  EXPECT_EQ(shift_order(with_segments(false).resource), (std::vector<std::size_t>{2}));
}

TEST(Ramp, climbs_to_the_maximum_and_no_further) {
  auto l = with_segments(false);
  int steps = 0;
  for (auto step = next_shift(l); step; step = next_shift(l), ++steps) {
    ASSERT_LT(steps, 10);
    EXPECT_GT(step->weight, l.segments[step->segment].weight);
    l.segments[step->segment].weight = step->weight;
  }
  EXPECT_DOUBLE_EQ(l.segments[2].weight, l.policy.shift_max);
  EXPECT_EQ(shifts_left(l), 0);
}

TEST(Ramp, steps_shrink_with_the_time_that_is_left) {
  auto l = with_segments(true);
  l.policy.critical.horizon = Millis{10'000};
  l.outlook = Outlook{};
  l.outlook->time_to_limit = Millis{100'000};
  const auto calm = step_time(l);
  l.outlook->time_to_limit = Millis{20'000};
  const auto pressed = step_time(l);
  EXPECT_LT(pressed, calm);
  l.outlook->time_to_limit = Millis{1'000};
  EXPECT_EQ(step_time(l), Millis{250});
}

}  // namespace
}  // namespace foreshadow::decide
