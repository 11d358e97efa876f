#include "load/schedule.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace load {
namespace {

using std::chrono::seconds;

std::vector<Arrival> all(double rate, Micros length, std::uint64_t seed) {
  std::vector<Arrival> arrivals;
  for (Schedule schedule(rate, length, seed); !schedule.done(); schedule.advance()) arrivals.push_back(schedule.next());
  return arrivals;
}

TEST(Schedule, OneSeedIsOneSequence) {
  const auto a = all(100, seconds{10}, 7);
  const auto b = all(100, seconds{10}, 7);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].due, b[i].due);
    EXPECT_EQ(a[i].choice, b[i].choice);
    EXPECT_EQ(a[i].seq, i);
  }
  EXPECT_NE(all(100, seconds{10}, 8).front().due, a.front().due);
}

TEST(Schedule, KeepsTheRateAndEndsInTime) {
  const auto arrivals = all(150, seconds{100}, 3);
  // A Poisson count: 15,000 give or take five standard deviations.
  EXPECT_NEAR(static_cast<double>(arrivals.size()), 15'000, 5 * 122.5);
  for (std::size_t i = 1; i < arrivals.size(); ++i) EXPECT_GE(arrivals[i].due, arrivals[i - 1].due);
  EXPECT_LT(arrivals.back().due, seconds{100});
}

TEST(Schedule, ALongerRunBeginsWithTheShorterOne) {
  const auto brief = all(50, seconds{5}, 11);
  const auto longer = all(50, seconds{9}, 11);
  ASSERT_LT(brief.size(), longer.size());
  for (std::size_t i = 0; i < brief.size(); ++i) EXPECT_EQ(brief[i].due, longer[i].due);
}

}  // namespace
}  // namespace load
