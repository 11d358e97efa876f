#include "foresee/risk/first_passage.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.hpp"

namespace foreshadow::foresee {
namespace {

// Share of simulated paths that touch the barrier. Between two steps a Brownian path below the barrier at both ends
// still touches it with probability exp(-2 x y / variance of the step): counted exactly, so the step size leaves no
// bias.
double simulated(double barrier, double drift, double variance, int paths, std::uint64_t seed) {
  constexpr int steps = 50;
  Random random(seed);
  double touched = 0;
  for (int p = 0; p < paths; ++p) {
    double x = 0, survived = 1;
    for (int i = 0; i < steps && survived > 0; ++i) {
      const double next = x + drift / steps + std::sqrt(variance / steps) * random.normal();
      if (next >= barrier)
        survived = 0;
      else
        survived *= 1 - std::exp(-2 * (barrier - x) * (barrier - next) / (variance / steps));
      x = next;
    }
    touched += 1 - survived;
  }
  return touched / paths;
}

TEST(FirstPassage, agrees_with_simulated_paths) {
  for (const double drift : {-1.0, 0.0, 0.5, 1.0, 2.0})
    for (const double variance : {0.05, 0.5, 2.0})
      EXPECT_NEAR(crossing_probability(1.0, drift, variance), simulated(1.0, drift, variance, 20'000, 7), 0.012)
          << "drift " << drift << " variance " << variance;
}

TEST(FirstPassage, without_drift_is_the_reflection_principle) {
  for (const double b : {0.1, 1.0, 3.0}) EXPECT_NEAR(crossing_probability(b, 0, 1), 2 * normal_cdf(-b), 1e-12);
}

TEST(FirstPassage, is_more_than_being_beyond_at_the_end) {
  EXPECT_GT(crossing_probability(1, 0.5, 1), normal_cdf(-0.5));
}

TEST(FirstPassage, extremes_stay_probabilities) {
  EXPECT_EQ(crossing_probability(0, -5, 1), 1);
  EXPECT_EQ(crossing_probability(-1, 0, 0), 1);
  EXPECT_EQ(crossing_probability(1, 0.5, 0), 0);
  EXPECT_EQ(crossing_probability(1, 1.5, 0), 1);
  for (const double b : {1e-12, 1.0, 1e12})
    for (const double m : {-1e12, -1.0, 0.0, 1.0, 1e12})
      for (const double v : {1e-300, 1e-12, 1.0, 1e12, 1e300}) {
        const double p = crossing_probability(b, m, v);
        EXPECT_TRUE(p >= 0 && p <= 1) << b << " " << m << " " << v;
      }
  // exp(2 m b / v) alone would be infinite here.
  EXPECT_NEAR(crossing_probability(1, 0.9, 1e-6), 0, 1e-12);
  EXPECT_NEAR(crossing_probability(1, 1.1, 1e-6), 1, 1e-12);
}

TEST(FirstPassage, more_drift_never_lowers_it) {
  double before = 0;
  for (double m = -3; m < 3; m += 0.05) {
    const double p = crossing_probability(1, m, 0.3);
    EXPECT_GE(p, before - 1e-12);
    before = p;
  }
}

TEST(FirstPassage, log_of_the_normal_is_continuous_where_its_formula_changes) {
  EXPECT_NEAR(log_normal_cdf(-30.0001), log_normal_cdf(-29.9999), 1e-2);
  EXPECT_NEAR(log_normal_cdf(-40), -804.608442, 1e-4);
}

TEST(FirstPassage, nodes_integrate_moments) {
  double one = 0, second = 0;
  for (const auto& node : normal_nodes()) {
    one += node.weight;
    second += node.weight * node.z * node.z;
  }
  EXPECT_NEAR(one, 1, 1e-12);
  EXPECT_NEAR(second, 1, 0.03);
}

}  // namespace
}  // namespace foreshadow::foresee
