#include "decide/canary.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.hpp"

namespace foreshadow::decide {
namespace {

TEST(Canary, looking_after_every_request_keeps_false_alarms_below_alpha) {
  Random random(7);
  constexpr int runs = 1000, requests = 2000;
  const double alpha = 0.01;
  int alarms = 0;
  for (int run = 0; run < runs; ++run) {
    std::uint64_t hits = 0;
    for (std::uint64_t n = 1; n <= requests; ++n) {
      hits += random.chance(0.01) ? 1 : 0;
      if (log_evidence_above(hits, n, 0.01) >= std::log(1 / alpha)) {
        ++alarms;
        break;
      }
    }
  }
  // Ville: at most alpha of the runs, whatever the number of looks; 2.5 standard errors of slack.
  EXPECT_LE(alarms, static_cast<int>(runs * alpha + 2.5 * std::sqrt(runs * alpha)));
}

TEST(Canary, a_tenfold_error_rate_is_found_within_a_few_hundred_requests) {
  Random random(11);
  std::uint64_t hits = 0, n = 0;
  while (log_evidence_above(hits, n, 0.01) < std::log(100.0) && n < 5000) {
    ++n;
    hits += random.chance(0.1) ? 1 : 0;
  }
  EXPECT_LT(n, 400U);
}

TEST(Canary, verdicts) {
  const CanaryPolicy policy;
  EXPECT_EQ(judge({0, 0, 0, 0}, policy).fitness, Fitness::inconclusive);
  EXPECT_EQ(judge({20, 0, 0, 0}, policy).fitness, Fitness::inconclusive);
  EXPECT_EQ(judge({100, 0, 0, 0}, policy).fitness, Fitness::fit);
  EXPECT_EQ(judge({100, 40, 0, 0}, policy).fitness, Fitness::unfit);
  EXPECT_EQ(judge({100, 0, 60, 0}, policy).fitness, Fitness::unfit);
  EXPECT_EQ(judge({100, 0, 0, 50}, policy).fitness, Fitness::unfit);
}

TEST(Canary, impossible_counts_do_no_harm) {
  EXPECT_EQ(judge({10, 500, 500, 500}, CanaryPolicy{}).fitness, Fitness::unfit);
  EXPECT_TRUE(std::isfinite(log_evidence_above(0, 0, 0.0)));
  EXPECT_TRUE(std::isfinite(log_evidence_above(1'000'000'000, 1'000'000'000, 1.0)));
}

}  // namespace
}  // namespace foreshadow::decide
