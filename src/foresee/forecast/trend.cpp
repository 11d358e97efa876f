#include "foresee/forecast/trend.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "foresee/forecast/robust.hpp"
#include "foresee/forecast/segments.hpp"

namespace foreshadow::foresee {
namespace {

// Most signals most of the time go nowhere. A real leak overcomes this within a few samples, its evidence growing
// exponentially; a flat series lies above four deviations too rarely to.
constexpr double slope_prior = 0.02;
constexpr double jump_deviations = 6;

struct Fit {
  Line line;
  double se = 0;
  std::size_t first = 0;  // index where the stretch begins
};

double sum_of_squares(std::span<const double> t) {
  double mean = 0, squares = 0;
  for (const double v : t) mean += v;
  mean /= static_cast<double>(t.size());
  for (const double v : t) squares += (v - mean) * (v - mean);
  return squares;
}

Fit fit(const Path& path, const Noise& noise, std::size_t first, std::size_t last) {
  const std::span t(path.t.data() + first, last - first), y(path.y.data() + first, last - first);
  Fit f;
  f.first = first;
  f.line = theil_sen(t, y);
  const double squares = sum_of_squares(t);
  // Theil-Sen needs 1.05 times the samples of least squares under normal noise.
  f.se =
      squares > 0 ? 1.05 * noise.sigma * std::sqrt(noise.inflation / squares) : std::numeric_limits<double>::infinity();
  return f;
}

// Takes out lone jumps: the earlier past is moved to the level after them. Jumps upward that keep coming are a
// staircase, which is how allocators and segment files grow, and stay.
void take_out_jumps(Path& path) {
  const auto n = path.size();
  if (n < 6) return;
  std::vector<double> rates, misses(n, 0);
  for (std::size_t i = 1; i < n; ++i) rates.push_back((path.y[i] - path.y[i - 1]) / (path.t[i] - path.t[i - 1]));
  const double usual = median(rates);
  std::vector<double> sizes;
  for (std::size_t i = 1; i < n; ++i) {
    misses[i] = path.y[i] - path.y[i - 1] - usual * (path.t[i] - path.t[i - 1]);
    sizes.push_back(misses[i]);
  }
  const double bound = jump_deviations * spread(sizes);
  const auto up = std::ranges::count_if(misses, [&](double m) { return m > bound; });
  const auto down = std::ranges::count_if(misses, [&](double m) { return m < -bound; });
  double moved = 0;
  for (auto i = n - 1; i > 0; --i) {
    const bool lone = (misses[i] > bound && up <= 2) || (misses[i] < -bound && down <= 2);
    if (lone) moved += misses[i];
    path.y[i - 1] += moved;
  }
}

struct Turns {
  std::size_t falls = 0;  // times it fell back by at least half of what it had risen before
  double highest_peak = -std::numeric_limits<double>::infinity();
  double usual_rise = 0;  // median height of the rises that ended in a fall
};

// Zigzag with a reversal threshold: what is left of a path when moves below the threshold are ignored.
Turns count_turns(const Path& path, double threshold) {
  Turns turns;
  std::vector<double> rises;
  bool rising = true;
  double trough = path.y[0], peak = path.y[0], low = path.y[0];
  for (const double y : path.y) {
    if (rising) {
      peak = std::max(peak, y);
      if (peak - y <= std::max(threshold, 0.5 * (peak - trough))) continue;
      if (peak - trough > threshold) {
        ++turns.falls;
        turns.highest_peak = std::max(turns.highest_peak, peak);
        rises.push_back(peak - trough);
      }
      rising = false;
      low = y;
    } else {
      low = std::min(low, y);
      if (y - low <= threshold) continue;
      rising = true;
      trough = low;
      peak = y;
    }
  }
  turns.usual_rise = median(rises);
  return turns;
}

// Probability that a slope, rather than nothing or a single step, made the stretch (Bayesian information criterion).
double slope_probability(const Path& path, const Noise& noise, const Fit& f, std::size_t smoothed,
                         std::size_t choices) {
  const auto n = path.size() - f.first;
  const std::span t(path.t.data() + f.first, n), y(path.y.data() + f.first, n);
  double sum = 0, squares = 0, around_line = 0;
  for (std::size_t i = 0; i < n; ++i) {
    sum += y[i];
    const double r = y[i] - f.line.at(t[i]);
    around_line += r * r;
  }
  const double mean = sum / static_cast<double>(n);
  for (const double v : y) squares += (v - mean) * (v - mean);
  double best_step = squares, left = 0;
  for (std::size_t i = 1; i < n; ++i) {
    left += y[i - 1] - mean;
    const double m = static_cast<double>(i), k = static_cast<double>(n - i);
    // What two levels explain beyond one; `left` and its negative are the sums of both sides.
    best_step = std::min(best_step, squares - left * left * (1 / m + 1 / k));
  }
  // The median of w samples has about pi / (2 w) of their variance, so that many of its values count as one.
  const double alike = noise.inflation * std::max(1.0, 0.64 * static_cast<double>(smoothed));
  const double counted = std::max(4.0, static_cast<double>(n) / alike);
  const double least = static_cast<double>(n) * noise.sigma * noise.sigma * 1e-6 + std::numeric_limits<double>::min();
  const auto evidence = [&](double rest, double parameters) {
    return 0.5 * counted * std::log((squares + least) / (std::max(0.0, rest) + least)) -
           0.5 * parameters * std::log(counted);
  };
  // Where the stretch begins was chosen too.
  const double line = evidence(around_line, 1) + std::log(slope_prior) - 0.5 * std::log(static_cast<double>(choices));
  const double step = evidence(best_step, 2) + std::log(slope_prior);
  const double none = std::log(1 - 2 * slope_prior);
  const double most = std::max({line, step, none});
  return std::exp(line - most) / (std::exp(line - most) + std::exp(step - most) + std::exp(none - most));
}

}  // namespace

Trend find_trend(const Path& raw, const Noise& noise, const TrendSettings& settings) {
  Trend trend;
  const auto n = raw.size();
  trend.level = trend.flat_level = median(raw.y);
  trend.tail_from = 1.2816 * noise.sigma;
  trend.tail_scale = 0.4 * noise.sigma;
  trend.tail_every = std::max(raw.step * noise.inflation, 1e-3);
  if (n < std::max<std::size_t>(settings.samples_min, 4)) return trend;

  const auto turns = count_turns(raw, 6 * std::min(noise.sigma, 3 * noise.jitter));
  const bool outgrown = raw.y.back() > turns.highest_peak + 0.5 * turns.usual_rise;
  trend.oscillating = turns.falls >= 2 && !outgrown;
  Path path = raw;
  if (!trend.oscillating) take_out_jumps(path);

  // What was quiet for long needs more to be called on the move than what has just begun.
  const bool settled = path.t.back() - path.t.front() > 3 * settings.span_min;
  Division division;
  Fit chosen;
  if (trend.oscillating) {
    chosen = fit(path, noise, 0, n);
    // The turns, not the samples, are what the slope of the whole rests on.
    chosen.se = std::max(
        chosen.se, turns.usual_rise / (path.t.back() - path.t.front()) / std::sqrt(static_cast<double>(turns.falls)));
  } else {
    division = divide(path, noise, settings.samples_min, settings.span_min * (settled ? 1.5 : 1));
    chosen = fit(path, noise, division.begins.back(), n);
  }

  trend.slope = chosen.line.slope;
  trend.slope_se = chosen.se;
  trend.level = chosen.line.level;
  const auto tail = std::min(n - chosen.first, settings.samples_min);
  trend.flat_level =
      trend.oscillating ? trend.level : median({path.y.end() - static_cast<std::ptrdiff_t>(tail), path.y.end()});
  trend.span = path.t.back() - path.t[chosen.first];
  if (trend.span < settings.span_min)
    trend.weight = 0;
  else
    trend.weight = slope_probability(path, noise, chosen, settings.smoothed, chosen.first > 0 ? n : 1);
  if (!trend.oscillating && trend.weight > 1e-3 && trend.slope + 2 * trend.slope_se > std::max(0.0, settings.slope_min))
    trend.saturation = find_saturation(path, noise, division);

  std::vector<double> residuals;
  for (auto i = chosen.first; i < n; ++i) residuals.push_back(path.y[i] - chosen.line.at(path.t[i]));
  trend.tail_from = std::max(0.0, quantile(residuals, 0.9));
  double excess = 0, beyond = 0;
  for (const double r : residuals)
    if (r > trend.tail_from) {
      excess += r - trend.tail_from;
      ++beyond;
    }
  // A short stretch has hardly a tail: then that of the normal law.
  trend.tail_scale = std::max(0.4 * noise.sigma, beyond > 0 ? excess / beyond : 0);
  return trend;
}

}  // namespace foreshadow::foresee
