#include "foresee/profile/drift.hpp"

#include <gtest/gtest.h>

#include "synthetic.hpp"

namespace foreshadow::foresee {
namespace {

using synthetic::series;

Baseline baseline_of(double sd) {
  Baseline baseline;
  const auto samples = series(60, [](double) { return 100; }, sd, 4);
  extend(baseline, samples, samples.back().at, 240);
  return baseline;
}

TEST(Drift, the_usual_is_none) {
  int above = 0;
  for (std::uint64_t seed = 10; seed < 60; ++seed)
    above += drift_score(baseline_of(5), series(8, [](double) { return 100; }, 5, seed)) > 0.1;
  EXPECT_EQ(above, 0);
}

TEST(Drift, grows_with_the_shift_to_one) {
  double before = -1;
  for (const double shift : {0.0, 20.0, 30.0, 50.0, 100.0}) {
    const double score = drift_score(baseline_of(5), series(8, [&](double) { return 100 + shift; }, 5, 9));
    EXPECT_GE(score, before);
    before = score;
  }
  EXPECT_GT(before, 0.95);
}

TEST(Drift, wilder_at_the_same_level_is_drift_too) {
  EXPECT_GT(drift_score(baseline_of(2), series(8, [](double) { return 100; }, 20, 9)), 0.5);
}

TEST(Drift, knows_nothing_without_a_baseline_or_recent_values) {
  Baseline small;
  const auto samples = series(5, [](double) { return 1; });
  extend(small, samples, samples.back().at, 240);
  EXPECT_EQ(drift_score(small, series(8, [](double) { return 99; })), 0);
  EXPECT_EQ(drift_score(baseline_of(5), series(1, [](double) { return 999; })), 0);
}

TEST(Drift, a_constant_baseline_forgives_a_thousandth) {
  EXPECT_EQ(drift_score(baseline_of(0), series(8, [](double) { return 100.05; })), 0);
  EXPECT_GT(drift_score(baseline_of(0), series(8, [](double) { return 110; })), 0.9);
}

TEST(Drift, a_baseline_stays_an_even_sample_of_all_it_saw) {
  Baseline baseline;
  const auto samples = series(1000, [](double t) { return t; });
  extend(baseline, samples, samples.back().at, 64);
  EXPECT_LE(baseline.values.size(), 64U);
  EXPECT_GE(baseline.values.size(), 32U);
  double sum = 0;
  for (const double v : baseline.values) sum += v;
  EXPECT_NEAR(sum / static_cast<double>(baseline.values.size()), 500, 50);
  const auto once = baseline;
  extend(baseline, samples, samples.back().at, 64);  // nothing is taken twice
  EXPECT_EQ(once, baseline);
}

}  // namespace
}  // namespace foreshadow::foresee
