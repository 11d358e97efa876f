// One signal against its limit: the probability that it first crosses within each horizon, and when.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "domain/window.hpp"
#include "foresee/forecast/trend.hpp"

namespace foreshadow::foresee {

struct AssessSettings {
  std::vector<Millis> horizons;  // ascending
  std::size_t samples_min = 8;
  double history_min = 0.2;  // shortest past of a trend, as a share of the shortest horizon
  std::optional<Millis> period;
};

struct Passage {
  double probability = 0;
  double low = 0;   // at the lower end of the trend's uncertainty
  double high = 1;  // at the upper end
};

struct SignalRisk {
  bool known = false;                   // fresh, long enough, with a limit
  bool crossed = false;                 // is beyond its limit now
  double value = 0;                     // the newest value, spikes taken out
  double slope = 0;                     // expected, per second, in the signal's own direction
  double headroom = 0;                  // to the limit, in the signal's unit
  std::vector<Passage> passages;        // one a horizon, not decreasing
  std::optional<Millis> time_to_limit;  // median first passage, when within ten of the longest horizons
};

// Pure. A signal that has no limit, is stale, or has too few samples is not known.
SignalRisk assess(const Signal& signal, Time now, const AssessSettings& settings);

}  // namespace foreshadow::foresee
