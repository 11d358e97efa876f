// Where a path is and where it is heading: level, slope with its uncertainty, whether there is a slope at all, and
// whether it is dying away. Read from the last straight piece, so that a leak that begins or ends is seen within
// seconds.
//  - A step is not a slope: single jumps are taken out, and a flat line with a step competes with the line (BIC).
//  - A sawtooth is not a leak: on a path that keeps turning back the slope is that of the whole, unless it has now left
//    the range it kept to.
//  - Growth that slows down is also continued as growth that ends.
#pragma once

#include "foresee/forecast/noise.hpp"
#include "foresee/forecast/path.hpp"
#include "foresee/forecast/saturation.hpp"

namespace foreshadow::foresee {

struct Trend {
  double level = 0;       // now
  double flat_level = 0;  // now, if it is not
  double slope = 0;       // per second
  double slope_se = 0;    // standard error
  double weight = 0;      // probability that there is a slope at all; otherwise it is zero
  Saturation saturation;  // the same growth as one that ends
  double span = 0;        // seconds of past it was read from
  bool oscillating = false;
  // Residuals of the stretch it was read from: their upper decile, and the mean excess over it.
  double tail_from = 0;
  double tail_scale = 0;
  double tail_every = 0;  // seconds between independent excursions
};

struct TrendSettings {
  std::size_t samples_min = 8;
  double span_min = 0;       // seconds
  double slope_min = 0;      // slower growth is of no interest: whether it ends is not looked into
  std::size_t smoothed = 1;  // width of the running median that went over the path
};

// `noise` as measured before any smoothing.
Trend find_trend(const Path& path, const Noise& noise, const TrendSettings& settings);

}  // namespace foreshadow::foresee
