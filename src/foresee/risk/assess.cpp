#include "foresee/risk/assess.hpp"

#include <algorithm>
#include <cmath>

#include "foresee/forecast/noise.hpp"
#include "foresee/forecast/robust.hpp"
#include "foresee/forecast/seasonal.hpp"
#include "foresee/risk/first_passage.hpp"

namespace foreshadow::foresee {
namespace {

// A trend is continued for at most so many times the past it was read from: two seconds say nothing of next week.
constexpr double continued_max = 8;
constexpr double decile = 1.2816;
// An objective is about what lasts, not about one slow scrape; a hard limit kills at the first touch.
constexpr std::size_t hard_width = 3;
constexpr std::size_t objective_width = 5;

// Everything that a crossing probability depends on, for one signal.
class Course {
 public:
  Course(const Trend& trend, const Noise& noise, const std::optional<Season>& season, double limit)
      : trend_(trend), noise_(noise), season_(season), limit_(limit) {}

  Passage within(double seconds) const {
    const double lift = season_ ? season_->highest(seconds) : 0;
    const double flat = crossing(trend_.flat_level, 0, 0, seconds, lift);
    double sloped = 0;
    for (const auto& node : normal_nodes()) {
      const double slope = trend_.slope + node.z * trend_.slope_se;
      sloped += node.weight * sloped_crossing(slope, seconds, lift);
    }
    Passage p;
    p.probability = trend_.weight * sloped + (1 - trend_.weight) * flat;
    const double few = sloped_crossing(trend_.slope - decile * trend_.slope_se, seconds, lift);
    const double many = sloped_crossing(trend_.slope + decile * trend_.slope_se, seconds, lift);
    p.low = trend_.weight > 0.9 ? few : std::min(few, flat);
    p.high = trend_.weight < 0.1 ? flat : std::max(many, flat);
    p.low = std::min(p.low, p.probability);
    p.high = std::max(p.high, p.probability);
    return p;
  }

 private:
  double sloped_crossing(double slope, double seconds, double lift) const {
    const double ending = trend_.saturation.probability;
    double p = (1 - ending) * crossing(trend_.level, slope, 0, seconds, lift);
    if (ending > 1e-3)
      for (const auto& s : trend_.saturation.rates)
        p += ending * s.weight * crossing(s.level, s.slope, s.rate, seconds, lift);
    return p;
  }

  double crossing(double level, double slope, double decay, double seconds, double lift) const {
    const double reach = std::min(seconds, continued_max * trend_.span);
    const double drift = decay > 0 ? slope * -std::expm1(-decay * reach) / decay : slope * reach;
    const double headroom = limit_ - level - lift;
    const double near = headroom - trend_.tail_from;
    // The path proper has to come near enough for its own noise to touch the limit.
    const double touched =
        crossing_probability(near > 0 ? near : headroom, drift, trend_.oscillating ? 0 : noise_.wander(seconds));
    // Or a burst from where it is (an exponential tail above the upper decile: peaks over threshold with shape zero).
    const double burst = 0.1 * std::exp(-std::max(0.0, near) / std::max(trend_.tail_scale, 1e-300));
    return std::max(touched, -std::expm1(-burst * seconds / trend_.tail_every));
  }

  const Trend& trend_;
  const Noise& noise_;
  const std::optional<Season>& season_;
  double limit_;
};

}  // namespace

SignalRisk assess(const Signal& signal, Time now, const AssessSettings& settings) {
  SignalRisk risk;
  if (!signal.limit || signal.stale || signal.samples.empty() || settings.horizons.empty()) return risk;
  const double turn = signal.limit->direction == Direction::rising ? 1 : -1;
  const double limit = turn * signal.limit->value;
  const auto width = signal.limit->hard ? hard_width : objective_width;

  auto path = make_path(signal.samples, now, turn);
  const auto last = std::min(path.size(), width);
  const double newest = median({path.y.end() - static_cast<std::ptrdiff_t>(last), path.y.end()});
  risk.value = turn * newest;
  risk.headroom = limit - newest;
  risk.crossed = newest >= limit;
  if (path.size() < settings.samples_min) return risk;
  risk.known = true;
  risk.passages.resize(settings.horizons.size());
  if (risk.crossed) {
    std::ranges::fill(risk.passages, Passage{1, 1, 1});
    risk.time_to_limit = Millis{0};
  }

  const double share = settings.history_min * (signal.limit->hard ? 1 : 2);
  const TrendSettings trending{.samples_min = settings.samples_min * (signal.limit->hard ? 1 : 2),
                               .span_min = share * to_seconds(settings.horizons.front()),
                               .slope_min = 0.5 * risk.headroom / to_seconds(settings.horizons.back()),
                               .smoothed = width};
  const double scale = std::max(std::abs(limit), std::abs(newest));
  Noise noise;
  Trend trend;
  const auto read = [&](Path p) {
    noise = measure_noise(p, scale);
    p.y = running_median(p.y, width);
    trend = find_trend(p, noise, trending);
  };
  read(path);
  std::optional<double> period;
  if (settings.period) period = to_seconds(*settings.period);
  // A path that keeps turning back is bounded by its turns already; only a period that is known tells more.
  std::optional<Season> season;
  if (!trend.oscillating || period) season = Season::find(path, period);
  if (season) {
    for (std::size_t i = 0; i < path.size(); ++i) path.y[i] -= season->at(path.t[i]);
    read(path);
  }
  risk.slope = turn * trend.slope * trend.weight;
  if (risk.crossed) return risk;

  const Course course(trend, noise, season, limit);
  Passage before{0, 0, 0};
  for (std::size_t i = 0; i < settings.horizons.size(); ++i) {
    auto p = course.within(to_seconds(settings.horizons[i]));
    // Monotone by meaning; the exponents of the wandering are estimates and need not be.
    p.probability = std::max(p.probability, before.probability);
    p.low = std::max(p.low, before.low);
    p.high = std::max(p.high, before.high);
    risk.passages[i] = before = p;
  }
  const double farthest = 10 * to_seconds(settings.horizons.back());
  if (risk.passages.back().probability < 0.02 || course.within(farthest).probability < 0.5) return risk;
  double early = 0, late = farthest;
  for (int i = 0; i < 24; ++i) {
    const double middle = (early + late) / 2;
    (course.within(middle).probability < 0.5 ? early : late) = middle;
  }
  risk.time_to_limit = Millis{std::llround(late * 1000)};
  return risk;
}

}  // namespace foreshadow::foresee
