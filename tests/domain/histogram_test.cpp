#include "domain/histogram.hpp"

#include <gtest/gtest.h>

namespace foreshadow {
namespace {

TEST(Histogram, every_value_lands_under_its_upper_edge_within_a_sixty_fourth) {
  for (std::uint64_t us = 1; us < 200'000'000; us = us * 9 / 8 + 1) {
    const int bucket = Histogram::bucket_of(us);
    EXPECT_GE(Histogram::upper_us(bucket), static_cast<double>(us)) << us;
    EXPECT_LE(Histogram::upper_us(bucket), static_cast<double>(us) * (1 + 1.0 / 64) + 1) << us;
    if (bucket > 0) EXPECT_LE(Histogram::upper_us(bucket - 1), static_cast<double>(us)) << us;
  }
  EXPECT_EQ(Histogram::bucket_of(~0ULL), Histogram::buckets - 1);
}

TEST(Histogram, an_interval_is_the_difference_and_a_restart_counts_from_zero) {
  Histogram before, after;
  before.record(100);
  after.record(100);
  after.record(100);
  after.record(5000);
  EXPECT_EQ(after.since(before).total(), 2U);
  EXPECT_EQ(before.since(after).total(), 1U);
}

TEST(Histogram, quantiles) {
  Histogram h;
  EXPECT_EQ(h.quantile_us(0.99), 0);
  for (int i = 0; i < 99; ++i) h.record(1000);
  h.record(1'000'000);
  EXPECT_NEAR(h.quantile_us(0.5), 1000, 16);
  EXPECT_NEAR(h.quantile_us(1.0), 1'000'000, 16'000);
  EXPECT_EQ(h.above_us(500'000), 1U);
}

}  // namespace
}  // namespace foreshadow
