#include "foresee/forecast/noise.hpp"

#include <algorithm>
#include <cmath>

#include "foresee/forecast/robust.hpp"

namespace foreshadow::foresee {
namespace {

double structure(const Path& path, std::size_t lag) {
  std::vector<double> differences;
  differences.reserve(path.size() - lag);
  const double expected = static_cast<double>(lag) * path.step;
  for (std::size_t i = lag; i < path.size(); ++i) {
    // Older points stand for stretches, and scrapes go missing: only pairs that are about `lag` apart tell of that lag.
    const double apart = path.t[i] - path.t[i - lag];
    if (apart > 0.5 * expected && apart < 1.5 * expected) differences.push_back(path.y[i] - path.y[i - lag]);
  }
  if (differences.size() < 3) return -1;
  const double s = spread(std::move(differences));
  return s * s;
}

// First-order autoregression with coefficient rho has D(4)/D(1) = 1 + rho + rho^2 + rho^3.
double autocorrelation(double ratio) {
  double low = 0, high = 0.95;
  for (int i = 0; i < 30; ++i) {
    const double rho = (low + high) / 2;
    (1 + rho + rho * rho + rho * rho * rho < ratio ? low : high) = rho;
  }
  return low;
}

}  // namespace

double Noise::wander(double seconds) const {
  if (lag <= 0 || seconds <= 0) return 0;
  const double reach = seconds / lag;
  // Within the measured lags a straight line from the instant part; beyond, by the exponent seen.
  if (reach <= 1) return std::max(0.0, at_lag - instant) * reach;
  return std::max(0.0, at_lag * std::pow(reach, growth) - instant);
}

Noise measure_noise(const Path& path, double scale) {
  Noise noise;
  const double floor = std::max(std::abs(scale) * 1e-9, 1e-300);
  const auto n = path.size();
  const double first = n >= 4 ? structure(path, 1) : -1;
  if (first < 0) {
    noise.sigma = floor;
    return noise;
  }
  const double fourth = n >= 8 ? structure(path, 4) : -1;
  const double rho = fourth > 0 && first > 0 ? autocorrelation(std::max(1.0, fourth / first)) : 0;
  noise.inflation = (1 + rho) / (1 - rho);
  noise.sigma = std::max(floor, std::sqrt(first / (2 * (1 - rho))));
  noise.instant = first;
  noise.lag = path.step;
  noise.at_lag = first;
  double before = first, before_lag = 1;
  for (std::size_t lag = 4; lag <= 64 && lag * 3 <= n; lag *= 2) {
    const double d = structure(path, lag);
    if (d < 0) break;
    if (before > 0 && d > 0)
      noise.growth = std::clamp(std::log(d / before) / std::log(static_cast<double>(lag) / before_lag), 0.0, 1.0);
    noise.lag = static_cast<double>(lag) * path.step;
    noise.at_lag = d;
    before = d;
    before_lag = static_cast<double>(lag);
  }
  return noise;
}

}  // namespace foreshadow::foresee
