#include "foresee/forecast/noise.hpp"

#include <algorithm>
#include <cmath>

#include "foresee/forecast/robust.hpp"

namespace foreshadow::foresee {
namespace {

// D of the header; below zero when there are too few points. White noise of variance 1 has 1.5 whatever the spacing.
double structure(const Path& path, std::size_t lag) {
  std::vector<double> distances;
  if (path.size() > 2 * lag) distances.reserve(path.size() - 2 * lag);
  const double expected = static_cast<double>(lag) * path.step;
  for (auto i = lag; i + lag < path.size(); ++i) {
    const double left = path.t[i] - path.t[i - lag], right = path.t[i + lag] - path.t[i];
    // Older points stand for stretches, and scrapes go missing: only what is about `lag` apart tells of that lag.
    if (!(left > 0.5 * expected && left < 2 * expected && right > 0.5 * expected && right < 2 * expected)) continue;
    const double share = left / (left + right);
    const double distance = path.y[i] - (1 - share) * path.y[i - lag] - share * path.y[i + lag];
    distances.push_back(distance * std::sqrt(1.5 / (1 + (1 - share) * (1 - share) + share * share)));
  }
  if (distances.size() < 4) return -1;
  const double s = spread(std::move(distances));
  return s * s;
}

// D of a first-order autoregression with variance 1.
double autoregressive(double rho, double lag) {
  const double r = std::pow(rho, lag);
  return 1.5 - 2 * r + 0.5 * r * r;
}

double autocorrelation(double ratio) {
  double low = 0, high = 0.95;
  for (int i = 0; i < 30; ++i) {
    const double rho = (low + high) / 2;
    (autoregressive(rho, 4) / autoregressive(rho, 1) < ratio ? low : high) = rho;
  }
  return low;
}

}  // namespace

double Noise::wander(double seconds) const {
  if (lag <= 0 || seconds <= 0) return 0;
  const double reach = seconds / lag;
  return at_lag * (reach <= 1 ? reach : std::pow(reach, growth));
}

Noise measure_noise(const Path& path, double scale) {
  Noise noise;
  const double floor = std::max(std::abs(scale) * 1e-9, 1e-300);
  noise.sigma = noise.jitter = floor;
  const auto n = path.size();
  const double first = structure(path, 1);
  if (first < 0) return noise;
  noise.jitter = std::max(floor, std::sqrt(first / 1.5));
  const double fourth = n >= 16 ? structure(path, 4) : -1;
  double rho = 0;
  if (fourth > first && first > 0) {
    // Drawn toward no correlation as if by a dozen samples of it: few samples show any ratio by chance.
    const double counted = static_cast<double>(n) / (static_cast<double>(n) + 12);
    rho = autocorrelation(std::pow(fourth / first, counted));
  }
  noise.inflation = (1 + rho) / (1 - rho);
  noise.sigma = std::max(floor, std::sqrt(first / autoregressive(rho, 1)));

  double before = first, before_lag = 1;
  // A bend or step spoils 2 * lag points, which must stay a small minority.
  for (std::size_t lag = 4; lag <= 32 && lag * 10 <= n + 24; lag *= 2) {
    const double seen = structure(path, lag);
    if (seen < 0) break;
    // Overlapping pairs are few independent ones: what that many may show by chance is not wandering.
    const double d = seen / (1 + 1.5 * std::sqrt(2 * static_cast<double>(lag) / static_cast<double>(n)));
    if (before > 0 && d > 0)
      noise.growth = std::clamp(std::log(d / before) / std::log(static_cast<double>(lag) / before_lag), 0.0, 1.0);
    noise.lag = static_cast<double>(lag) * path.step;
    // A random walk's variance over the lag is twice its D; levelled off, it is at most this.
    noise.at_lag = 2 * std::max(0.0, d - first);
    before = d;
    before_lag = static_cast<double>(lag);
  }
  return noise;
}

}  // namespace foreshadow::foresee
