// Where a path is and where it is heading: level, slope with its uncertainty, whether there is a slope at all, and
// whether it is dying away. Read from the longest recent stretch on which one slope fits (intersection of confidence
// intervals, Goldenshluger and Nemirovski 1997; Katkovnik 1999), so that a leak that begins or ends is seen within
// seconds.
//  - A step is not a slope: single jumps are taken out, and a flat line with a jump competes with the line (BIC).
//  - A sawtooth is not a leak: on a path that keeps turning back the slope is that of the whole, unless it has now left
//    the range it kept to.
//  - Growth that slows down is also continued as growth that ends (damped trend, Gardner and McKenzie 1985).
#pragma once

#include "foresee/forecast/noise.hpp"
#include "foresee/forecast/path.hpp"

namespace foreshadow::foresee {

struct Trend {
  double level = 0;         // now
  double flat_level = 0;    // now, if it is not
  double slope = 0;         // per second
  double slope_se = 0;      // standard error
  double weight = 0;        // probability that there is a slope at all; otherwise it is zero
  double decay = 0;         // per second: how fast the slope dies away, if it does
  double decay_weight = 0;  // probability that it does
  double span = 0;          // seconds of past it was read from
  bool oscillating = false;
  // Residuals of the stretch it was read from: their upper decile, and the mean excess over it.
  double tail_from = 0;
  double tail_scale = 0;
  double tail_every = 0;  // seconds between independent excursions
};

struct TrendSettings {
  std::size_t samples_min = 8;
  double span_min = 0;  // seconds
};

Trend find_trend(const Path& path, const Noise& noise, const TrendSettings& settings);

}  // namespace foreshadow::foresee
