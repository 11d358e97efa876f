// How much a path wanders, by how far apart one looks: the structure function, D(k) = robust variance of y(t+k) - y(t).
// White noise gives the same D at every lag, a random walk one that grows with the lag, and a bounded oscillation one
// that levels off. Differences do not see a steady trend, and their median absolute deviation does not see a rare step.
#pragma once

#include "foresee/forecast/path.hpp"

namespace foreshadow::foresee {

struct Noise {
  double sigma = 0;      // standard deviation of one sample around the path's course
  double inflation = 1;  // by how much autocorrelation widens the variance of a mean or slope: (1 + rho) / (1 - rho)
  double lag = 0;        // longest measured lag, in seconds
  double at_lag = 0;     // D there
  double growth = 0;     // exponent of D beyond it: 0 levelled off, 1 random walk
  double instant = 0;    // part of D that is there at any lag
  // Variance that the wandering adds within `seconds`, the sample noise itself left out.
  double wander(double seconds) const;
};

// `scale` is a magnitude of the data (level or limit): noise below a billionth of it is rounding.
Noise measure_noise(const Path& path, double scale);

}  // namespace foreshadow::foresee
