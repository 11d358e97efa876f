// How much a path wanders, by how far apart one looks. D(k) is the robust variance of a point's distance from the
// straight line between the points k before and k after it. White noise gives the same D at every lag, a random walk
// one that grows with the lag, a bounded oscillation one that levels off. A steady trend does not show in it, and a
// step or a bend only in the few points around it, which the median absolute deviation leaves out.
#pragma once

#include "foresee/forecast/path.hpp"

namespace foreshadow::foresee {

struct Noise {
  double sigma = 0;      // standard deviation of one sample around the path's course
  double jitter = 0;     // the part of it that differs from one sample to the next
  double inflation = 1;  // by how much autocorrelation widens the variance of a mean or slope: (1 + rho) / (1 - rho)
  double lag = 0;        // longest measured lag, in seconds
  double at_lag = 0;     // variance that wandering adds within it, the sample noise left out
  double growth = 0;     // exponent beyond it: 0 levelled off, 1 random walk
  // Variance that the wandering adds within `seconds`.
  double wander(double seconds) const;
};

// Of a path that nothing was smoothed out of. `scale` is a magnitude of the data (level or limit): noise below a
// billionth of it is rounding.
Noise measure_noise(const Path& path, double scale);

}  // namespace foreshadow::foresee
