// How unlike its usual self a signal behaves: the quantiles of its recent values against a baseline of calm ones.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "domain/window.hpp"

namespace foreshadow::foresee {

// Values of calm times, spread evenly over all of them: when full every second one is dropped, and from then on only
// every second new one is taken. No chance in it, so a replay builds the same one.
struct Baseline {
  std::vector<double> values;
  std::uint64_t seen = 0;
  std::uint64_t stride = 1;
  Time newest;  // of the samples looked at so far
  friend bool operator==(const Baseline&, const Baseline&) = default;
};

// Takes what is newer than the last it saw and at or before `until`: of what it would take, one in `one_in`. `size_max`
// at least 2.
void extend(Baseline& baseline, std::span<const Sample> samples, Time until, std::size_t size_max,
            std::uint64_t one_in = 1);

// 0 as usual .. 1 nothing like it. How far the recent quantiles (.1 to .9) lie outside the baseline's 2 % to 98 %
// range, in robust deviations of the baseline; one is nothing, four are 0.63. Inside that range nothing is drift, so a
// daily pattern is none once it was seen. Zero with fewer than 30 baseline values or 8 recent ones: not knowing the
// usual is no sign of drift.
double drift_score(const Baseline& baseline, std::span<const Sample> recent);

}  // namespace foreshadow::foresee
