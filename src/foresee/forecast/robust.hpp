// Order statistics and a line that outliers cannot turn: the tools the rest of foresee is made of.
#pragma once

#include <span>
#include <vector>

namespace foreshadow::foresee {

// The data by value: selecting reorders it. Zero when empty.
double median(std::vector<double> values);
// Quantile q in [0, 1], linear between order statistics (Hyndman and Fan 1996, type 7). Zero when empty.
double quantile(std::vector<double> values, double q);
// Standard deviation by the median absolute deviation. Where more than half the values are the same it would be zero;
// then by the mean absolute deviation, so that only constant data have no spread.
double spread(std::vector<double> values);

// y at t = 0 and its change per unit of t.
struct Line {
  double level = 0;
  double slope = 0;
  double at(double t) const { return level + slope * t; }
};
// Median of the slopes of all pairs (Theil 1950, Sen 1968), level by the median residual. Above 24 points their groups'
// medians stand for them: the slope loses little, and the cost stays bounded. Needs two different times, else a flat
// line.
Line theil_sen(std::span<const double> t, std::span<const double> y);

}  // namespace foreshadow::foresee
