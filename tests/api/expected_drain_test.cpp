#include "api/expected_drain.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace foreshadow::api {
namespace {

GatewayReport of(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> lengths_us, int in_flight = 1) {
  GatewayReport report;
  report.in_flight = in_flight;
  SegmentStats segment;
  for (const auto& [us, count] : lengths_us) segment.current.latency.add(Histogram::bucket_of(us), count);
  report.segments.push_back(segment);
  return report;
}

TEST(ExpectedDrain, IsUnknownBeforeAnyWork) { EXPECT_FALSE(expected_drain({GatewayReport{}}, Millis{300})); }

// Of work that always takes 100 ms, what is left is uniform over 0..100 ms.
TEST(ExpectedDrain, OfEqualLengthsIsUniform) {
  const auto one = expected_drain({of({{100'000, 1000}})}, Millis{30});
  ASSERT_TRUE(one);
  EXPECT_EQ(one->seen, 1000U);
  EXPECT_NEAR(one->in_time, 0.3, 0.01);
  EXPECT_NEAR(one->p50_ms, 50, 1.5);
  EXPECT_NEAR(one->p99_ms, 99, 2.5);
}

// A hundred queries of 1 ms for each report of 10 s: of the pieces in flight 99 % are reports.
TEST(ExpectedDrain, LongWorkIsMoreLikelyFoundInFlightThanItsShare) {
  const auto seen = expected_drain({of({{1000, 10'000}, {10'000'000, 100}})}, Millis{300});
  ASSERT_TRUE(seen);
  EXPECT_NEAR(seen->in_time, 1 - 0.99 * 0.97, 0.01);
  EXPECT_GT(seen->p50_ms, 4000);
}

TEST(ExpectedDrain, EndsWithTheLastPiece) {
  const auto alone = expected_drain({of({{100'000, 1000}}, 1)}, Millis{90});
  const auto crowd = expected_drain({of({{100'000, 600}}, 6), of({{100'000, 400}}, 4)}, Millis{90});
  ASSERT_TRUE(alone && crowd);
  EXPECT_EQ(crowd->in_flight, 10);
  EXPECT_NEAR(crowd->in_time, std::pow(alone->in_time, 10), 0.001);
  EXPECT_GT(crowd->p50_ms, alone->p50_ms);
}

// Databases tell how long their transactions live, which is more than what their server works on them.
TEST(ExpectedDrain, TakesTheLifeOfWorkWhereItIsTold) {
  auto report = of({{1000, 1000}});
  report.work_lengths.emplace();
  report.work_lengths->add(Histogram::bucket_of(1'000'000), 10);
  EXPECT_LT(expected_drain({report}, Millis{300})->in_time, 0.35);
}

}  // namespace
}  // namespace foreshadow::api
