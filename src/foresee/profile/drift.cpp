#include "foresee/profile/drift.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "foresee/forecast/robust.hpp"

namespace foreshadow::foresee {
namespace {
constexpr std::size_t baseline_min = 30;
constexpr std::size_t recent_min = 8;
constexpr double usual_deviations = 1;
constexpr double scale_deviations = 3;
}  // namespace

void extend(Baseline& baseline, std::span<const Sample> samples, Time until, std::size_t size_max,
            std::uint64_t one_in) {
  size_max = std::max<std::size_t>(size_max, 2);
  for (const auto& sample : samples) {
    if (sample.at <= baseline.newest || sample.at > until) continue;
    baseline.newest = sample.at;
    if (baseline.seen++ % (baseline.stride * one_in) != 0) continue;
    if (baseline.values.size() >= size_max) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < baseline.values.size(); i += 2) baseline.values[kept++] = baseline.values[i];
      baseline.values.resize(kept);
      baseline.stride *= 2;
      if ((baseline.seen - 1) % baseline.stride != 0) continue;
    }
    baseline.values.push_back(sample.value);
  }
}

double drift_score(const Baseline& baseline, std::span<const Sample> recent) {
  if (baseline.values.size() < baseline_min || recent.size() < recent_min) return 0;
  std::vector<double> now;
  for (const auto& sample : recent) now.push_back(sample.value);
  const double iqr = quantile(baseline.values, 0.75) - quantile(baseline.values, 0.25);
  double largest = 0;
  for (const double v : baseline.values) largest = std::max(largest, std::abs(v));
  // A constant baseline makes any change infinitely unusual; a thousandth of the value is not worth a word.
  const double scale = std::max({iqr / 1.349, spread(baseline.values), 1e-3 * largest, 1e-300});
  const double low = quantile(baseline.values, 0.02), high = quantile(baseline.values, 0.98);
  const double outside = std::max(quantile(now, 0.9) - high, low - quantile(now, 0.1));
  const double distance = outside / scale;
  return -std::expm1(-std::max(0.0, distance - usual_deviations) / scale_deviations);
}

}  // namespace foreshadow::foresee
