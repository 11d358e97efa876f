#include "foresee/forecast/seasonal.hpp"

#include <algorithm>
#include <cmath>

#include "foresee/forecast/robust.hpp"

namespace foreshadow::foresee {
namespace {

constexpr std::size_t grid_max = 240;
constexpr std::size_t phases_max = 24;
constexpr std::size_t phases_min = 4;

double variance(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return squares / static_cast<double>(values.size());
}

// The path on an even grid, by straight lines between its points.
std::vector<double> on_grid(const Path& path, std::size_t points) {
  std::vector<double> grid(points);
  const double from = path.t.front(), width = (path.t.back() - from) / static_cast<double>(points - 1);
  std::size_t right = 1;
  for (std::size_t i = 0; i < points; ++i) {
    const double t = from + width * static_cast<double>(i);
    while (right + 1 < path.size() && path.t[right] < t) ++right;
    const double share = (t - path.t[right - 1]) / (path.t[right] - path.t[right - 1]);
    grid[i] = path.y[right - 1] + std::clamp(share, 0.0, 1.0) * (path.y[right] - path.y[right - 1]);
  }
  return grid;
}

// In grid steps; zero when no lag stands out.
double find_lag(const std::vector<double>& values) {
  const auto n = values.size();
  double sum = 0;
  for (const double v : values) sum += v;
  const double mean = sum / static_cast<double>(n);
  const double power = variance(values) * static_cast<double>(n);
  if (!(power > 0)) return 0;
  std::vector<double> acf(n * 2 / 3);
  for (std::size_t lag = 0; lag < acf.size(); ++lag) {
    double product = 0;
    for (std::size_t i = lag; i < n; ++i) product += (values[i] - mean) * (values[i - lag] - mean);
    acf[lag] = product / power * static_cast<double>(n) / static_cast<double>(n - lag);
  }
  std::size_t lag = 1;
  while (lag < acf.size() && acf[lag] > 0.2) ++lag;  // off the hill at zero, or noise would be a period of one
  std::size_t best = 0;
  for (; lag + 1 < std::min(acf.size(), n / 3 + 1); ++lag)
    if (acf[lag] > 0.5 && acf[lag] >= acf[lag - 1] && acf[lag] >= acf[lag + 1] &&
        (best == 0 || acf[lag] > acf[best] + 0.1))
      best = lag;
  if (best < phases_min) return 0;
  // It must come back once more, else a single bump that happens to resemble another would do.
  const auto twice = 2 * best;
  if (twice + 1 >= acf.size() || std::max({acf[twice - 1], acf[twice], acf[twice + 1]}) < 0.3) return 0;
  return static_cast<double>(best);
}

}  // namespace

std::optional<Season> Season::find(const Path& path, std::optional<double> period) {
  if (path.size() < 24 || !(path.t.back() > path.t.front())) return std::nullopt;
  const double covered = path.t.back() - path.t.front();
  Path detrended = path;
  const auto line = theil_sen(path.t, path.y);
  for (std::size_t i = 0; i < path.size(); ++i) detrended.y[i] -= line.at(path.t[i]);

  Season season;
  if (period) {
    season.period_ = *period;
    if (!(season.period_ > 0) || covered < 2 * season.period_) return std::nullopt;
  } else {
    const auto points = std::min(path.size(), grid_max);
    season.period_ = find_lag(on_grid(detrended, points)) * covered / static_cast<double>(points - 1);
    if (!(season.period_ > 0)) return std::nullopt;
  }
  const auto per_period = static_cast<double>(path.size()) * season.period_ / covered;
  const auto phases = std::clamp(static_cast<std::size_t>(per_period), phases_min, phases_max);
  std::vector<std::vector<double>> by_phase(phases);
  season.profile_.resize(phases);
  const auto phase_of = [&](double t) {
    const double turns = t / season.period_;
    return std::min(phases - 1, static_cast<std::size_t>((turns - std::floor(turns)) * static_cast<double>(phases)));
  };
  for (std::size_t i = 0; i < path.size(); ++i) by_phase[phase_of(path.t[i])].push_back(detrended.y[i]);
  for (std::size_t p = 0; p < phases; ++p) {
    if (by_phase[p].size() < 2) return std::nullopt;
    season.profile_[p] = median(by_phase[p]);
  }
  std::vector<double> rest(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) rest[i] = detrended.y[i] - season.profile_[phase_of(path.t[i])];
  if (variance(rest) > 0.5 * variance(detrended.y)) return std::nullopt;
  return season;
}

double Season::at(double t) const {
  const double turns = t / period_;
  const auto phases = profile_.size();
  return profile_[std::min(phases - 1,
                           static_cast<std::size_t>((turns - std::floor(turns)) * static_cast<double>(phases)))];
}

double Season::highest(double seconds) const {
  if (seconds >= period_) return *std::ranges::max_element(profile_);
  const double width = period_ / static_cast<double>(profile_.size());
  double highest = std::max(at(0), at(seconds));
  for (double t = width; t < seconds; t += width) highest = std::max(highest, at(t));
  return highest;
}

}  // namespace foreshadow::foresee
