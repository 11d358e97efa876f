#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "foresee/forecast/noise.hpp"
#include "foresee/forecast/robust.hpp"
#include "foresee/forecast/saturation.hpp"
#include "foresee/forecast/seasonal.hpp"
#include "foresee/forecast/segments.hpp"
#include "foresee/forecast/trend.hpp"
#include "synthetic.hpp"

namespace foreshadow::foresee {
namespace {

Path path_of(const std::vector<Sample>& samples) { return make_path(samples, samples.back().at, 1); }

TEST(Robust, quantiles_and_spread) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(median({}), 0);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 3, 4, 5}, 0.25), 2);
  EXPECT_DOUBLE_EQ(quantile({1, 2}, 0.75), 1.75);
  EXPECT_NEAR(spread({1, 2, 3, 4, 100}), 1.4826, 1e-9);
  EXPECT_GT(spread({5, 5, 5, 5, 6}), 0);  // most values equal: still not constant
  EXPECT_EQ(spread({5, 5, 5}), 0);
}

TEST(Robust, theil_sen_ignores_a_quarter_of_outliers) {
  std::vector<double> t, y;
  for (int i = 0; i < 40; ++i) {
    t.push_back(i);
    y.push_back(i % 5 == 2 ? 1000 : 3 + 2.0 * i);
  }
  const auto line = theil_sen(t, y);
  EXPECT_NEAR(line.slope, 2, 0.05);
  EXPECT_NEAR(line.level, 3, 1.5);
  EXPECT_EQ(theil_sen(std::vector<double>{1, 1}, std::vector<double>{1, 2}).slope, 0);
}

TEST(Path, keeps_the_newest_and_thins_the_old) {
  const auto samples = synthetic::series(600, [](double t) { return t; });
  const auto path = path_of(samples);
  EXPECT_EQ(path.size(), 240U);
  EXPECT_DOUBLE_EQ(path.t.back(), 0);
  EXPECT_NEAR(path.t.front(), -600, 15);
  EXPECT_DOUBLE_EQ(path.step, 0.25);
  for (std::size_t i = 1; i < path.size(); ++i) EXPECT_LT(path.t[i - 1], path.t[i]);
}

TEST(Path, running_median_keeps_lines_and_steps_and_drops_spikes) {
  EXPECT_EQ(running_median({1, 2, 3, 4}, 3), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(running_median({0, 0, 9, 0, 0}, 3), (std::vector<double>{0, 0, 0, 0, 0}));
  EXPECT_EQ(running_median({0, 0, 0, 5, 5, 5}, 3), (std::vector<double>{0, 0, 0, 5, 5, 5}));
  EXPECT_EQ(running_median({0, 0, 0, 9}, 3).back(), 0);  // a last spike too
}

TEST(Noise, white_noise_is_found_under_a_trend) {
  const auto noise = measure_noise(path_of(synthetic::series(60, [](double t) { return 7 * t; }, 2.0, 3)), 100);
  EXPECT_NEAR(noise.sigma, 2, 0.5);
  EXPECT_LT(noise.inflation, 2);
  EXPECT_LT(std::sqrt(noise.wander(30)), 2);
}

TEST(Noise, a_random_walk_wanders_with_the_square_root_of_time) {
  Random random(5);
  double x = 0;
  const auto samples = synthetic::series(60, [&](double) { return x += random.normal(); });
  const auto noise = measure_noise(path_of(samples), 100);
  // 4 steps a second of variance 1 each.
  EXPECT_NEAR(std::sqrt(noise.wander(30)), std::sqrt(120.0), 5);
  EXPECT_GT(noise.growth, 0.4);
}

TEST(Noise, one_step_is_not_noise) {
  const auto noise = measure_noise(path_of(synthetic::series(60, [](double t) { return t < 30 ? 10 : 60; }, 0.5)), 100);
  EXPECT_NEAR(noise.sigma, 0.5, 0.2);
  EXPECT_LT(std::sqrt(noise.wander(10)), 2);
}

TEST(Segments, the_last_piece_begins_where_the_leak_did) {
  const auto path = path_of(synthetic::series(60, [](double t) { return t < 50 ? 20 : 20 + 3 * (t - 50); }, 0.3));
  const auto division = divide(path, measure_noise(path, 100), 8, 2.4);
  EXPECT_NEAR(path.t[division.begins.back()], -10, 1);
}

TEST(Segments, one_line_is_one_piece) {
  const auto path = path_of(synthetic::series(60, [](double t) { return 20 + t; }, 1));
  EXPECT_EQ(divide(path, measure_noise(path, 100), 8, 2.4).begins, std::vector<std::size_t>{0});
}

TEST(Saturation, finds_the_asymptote) {
  const auto path = path_of(synthetic::series(20, [](double t) { return 85 * (1 - std::exp(-t / 8)); }, 0.3));
  const auto noise = measure_noise(path, 100);
  const auto saturation = find_saturation(path, noise, divide(path, noise, 8, 2.4));
  EXPECT_GT(saturation.probability, 0.99);
  double end = 0;
  for (const auto& s : saturation.rates) end += s.weight * (s.level + s.slope / s.rate);
  EXPECT_NEAR(end, 85, 2);
}

TEST(Saturation, a_straight_leak_does_not_end) {
  const auto path = path_of(synthetic::series(20, [](double t) { return 4 * t; }, 0.3));
  const auto noise = measure_noise(path, 100);
  EXPECT_LT(find_saturation(path, noise, divide(path, noise, 8, 2.4)).probability, 0.1);
}

TEST(Saturation, a_burst_at_the_start_and_then_a_leak_does_not_end) {
  const auto path = path_of(synthetic::series(30, [](double t) { return t < 4 ? 8 * t : 32 + 1.5 * (t - 4); }, 0.3));
  const auto noise = measure_noise(path, 100);
  EXPECT_LT(find_saturation(path, noise, divide(path, noise, 8, 2.4)).probability, 0.1);
}

TEST(Season, finds_a_period_and_its_profile) {
  const auto path = path_of(
      synthetic::series(60, [](double t) { return 50 + 0.1 * t + 10 * std::sin(t * 2 * std::numbers::pi / 12); }, 1));
  const auto season = Season::find(path, std::nullopt);
  ASSERT_TRUE(season);
  EXPECT_NEAR(season->period(), 12, 0.5);
  EXPECT_NEAR(season->highest(12), 10, 2);
}

TEST(Season, noise_has_none) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed)
    found += Season::find(path_of(synthetic::series(60, [](double) { return 50; }, 1, seed)), std::nullopt).has_value();
  EXPECT_EQ(found, 0);
}

TEST(Season, a_given_period_needs_two_of_it) {
  const auto wave = [](double t) { return 10 * std::sin(t * 2 * std::numbers::pi / 20); };
  EXPECT_TRUE(Season::find(path_of(synthetic::series(45, wave, 0.5)), 20));
  EXPECT_FALSE(Season::find(path_of(synthetic::series(35, wave, 0.5)), 20));
}

TEST(Trend, short_or_constant_paths_go_nowhere) {
  const auto flat = path_of(synthetic::series(60, [](double) { return 5; }));
  const auto trend = find_trend(flat, measure_noise(flat, 100), {});
  EXPECT_EQ(trend.slope, 0);
  EXPECT_LT(trend.weight, 0.05);
  EXPECT_DOUBLE_EQ(trend.flat_level, 5);
  const auto two = path_of(synthetic::series(0.25, [](double t) { return t; }));
  EXPECT_EQ(find_trend(two, measure_noise(two, 100), {}).weight, 0);
}

}  // namespace
}  // namespace foreshadow::foresee
