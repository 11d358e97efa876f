// One signal's past, made ready for models: seconds before now, turned so that the limit is always above, bounded in
// length, spikes of single samples taken out.
#pragma once

#include <span>
#include <vector>

#include "domain/window.hpp"

namespace foreshadow::foresee {

struct Path {
  std::vector<double> t;  // seconds, ascending, the newest at or below zero
  std::vector<double> y;
  std::size_t size() const { return t.size(); }
  double step = 0;  // median time between samples
};

// `turn` is -1 for a signal whose limit lies below. At most 240 points: the newest 160 as they are, older ones as
// medians of equal stretches.
Path make_path(std::span<const Sample> samples, Time now, double turn);
// Running median over `width` (odd) points; the ends by Tukey's rule for three, else by the shorter median there is.
std::vector<double> running_median(const std::vector<double>& y, std::size_t width);

}  // namespace foreshadow::foresee
