#include "foresee/forecast/saturation.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace foreshadow::foresee {
namespace {

// Caches that fill are as common as leaks.
constexpr double prior = 0.3;
// Rates from one that bends by a tenth over the span to one that was over after a tenth of it, first on a coarse grid,
// then closer and closer around the best: a long clean past leaves a range much narrower than any grid one could
// afford.
constexpr double rate_least = 0.2;
constexpr double rate_most = 20;
constexpr int coarse = 12;
constexpr int refinements = 4;

struct LeastSquares {
  double rest = 0;
  double constant = 0;
  double factor = 0;  // of the regressor
  double spread = 0;  // sum of squares of the regressor
};

LeastSquares regress(const std::vector<double>& x, const double* y) {
  const auto n = static_cast<double>(x.size());
  double sx = 0, sy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sx += x[i];
    sy += y[i];
  }
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - sx / n, dy = y[i] - sy / n;
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  LeastSquares f;
  f.spread = xx;
  f.factor = xx > 0 ? xy / xx : 0;
  f.constant = (sy - f.factor * sx) / n;
  f.rest = std::max(0.0, yy - f.factor * xy);
  return f;
}

}  // namespace

Saturation find_saturation(const Path& path, const Noise& noise, const Division& division) {
  Saturation saturation;
  const double unit = noise.sigma * noise.sigma * noise.inflation;
  // What straight pieces make of it, going back piece by piece while the growth was ever faster.
  double straight = 0, later_slope = 0;
  auto begin = path.size();
  std::vector<double> x;
  for (auto piece = division.begins.size(); piece-- > 0;) {
    const auto from = division.begins[piece];
    x.assign(path.t.begin() + static_cast<std::ptrdiff_t>(from), path.t.begin() + static_cast<std::ptrdiff_t>(begin));
    const auto line = regress(x, path.y.data() + from);
    if (line.factor <= later_slope) break;
    // A drop or a jump between pieces is not one growth.
    if (begin < path.size() && std::abs(line.constant + line.factor * path.t[begin] - path.y[begin]) >
                                   6 * noise.sigma + 0.5 * std::abs(line.factor) * (path.t[begin] - path.t[from]))
      break;
    straight += line.rest / unit + (begin < path.size() ? division.penalty : 0);
    later_slope = line.factor;
    begin = from;
  }
  const auto n = path.size() - begin;
  if (n < 8) return saturation;
  const double span = path.t.back() - path.t[begin];
  if (!(span > 0)) return saturation;

  struct Tried {
    double log_rate;
    double rest;  // squared deviations
    Saturating now;
  };
  std::vector<Tried> tried;
  x.resize(n);
  const auto attempt = [&](double log_rate) {
    const double rate = std::exp(log_rate) / span;
    for (std::size_t j = 0; j < n; ++j) x[j] = std::exp(-rate * (path.t[begin + j] - path.t[begin]));
    const auto curve = regress(x, path.y.data() + begin);
    // Of the other sign it would be growth that speeds up: no end to that.
    const double factor = std::min(0.0, curve.factor), left = std::exp(rate * path.t[begin]);
    tried.push_back(
        {.log_rate = log_rate,
         .rest = (curve.rest + (factor - curve.factor) * (factor - curve.factor) * curve.spread) / unit,
         .now = {.weight = 0, .rate = rate, .level = curve.constant + factor * left, .slope = -factor * rate * left}});
  };
  const double from = std::log(rate_least), to = std::log(rate_most);
  for (int i = 0; i < coarse; ++i) attempt(from + (to - from) * i / (coarse - 1));
  const auto by_rate = [](const Tried& a, const Tried& b) { return a.log_rate < b.log_rate; };
  const auto by_rest = [](const Tried& a, const Tried& b) { return a.rest < b.rest; };
  for (int i = 0; i < refinements; ++i) {
    const auto best = std::ranges::min_element(tried, by_rest) - tried.begin();
    const double middle = tried[static_cast<std::size_t>(best)].log_rate;
    const double left = best > 0 ? tried[static_cast<std::size_t>(best) - 1].log_rate : middle;
    const double right =
        static_cast<std::size_t>(best) + 1 < tried.size() ? tried[static_cast<std::size_t>(best) + 1].log_rate : middle;
    if (left < middle) attempt((left + middle) / 2);
    if (right > middle) attempt((middle + right) / 2);
    std::ranges::sort(tried, by_rate);
  }
  const double least = std::ranges::min_element(tried, by_rest)->rest;
  double sum = 0;
  for (std::size_t i = 0; i < tried.size(); ++i) {
    const double left = i > 0 ? tried[i - 1].log_rate : tried[i].log_rate;
    const double right = i + 1 < tried.size() ? tried[i + 1].log_rate : tried[i].log_rate;
    tried[i].now.weight = (right - left) / 2 * std::exp(-0.5 * std::min(1400.0, tried[i].rest - least));
    sum += tried[i].now.weight;
  }
  // Averaged over a rate of which only the order of magnitude was known before, the likelihood pays for the choice.
  const double curved = least - 2 * std::log(sum / (to - from));
  const double log_odds = std::log(prior / (1 - prior)) + 0.5 * (straight - curved);
  saturation.probability = 1 / (1 + std::exp(-std::clamp(log_odds, -40.0, 40.0)));
  for (auto& t : tried)
    if (t.now.weight > 1e-3 * sum) saturation.rates.push_back(t.now);
  for (auto& rate : saturation.rates) rate.weight /= sum;
  return saturation;
}

}  // namespace foreshadow::foresee
