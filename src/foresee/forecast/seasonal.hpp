// A repeating pattern of one period, by phase medians (as the robust seasonal step of STL, Cleveland and others 1990).
// The period is given, or found as the first high peak of the autocorrelation (AUTOPERIOD's second step, Vlachos 2005).
#pragma once

#include <optional>
#include <vector>

#include "foresee/forecast/path.hpp"

namespace foreshadow::foresee {

class Season {
 public:
  // Found in `path` with at least three periods seen, or two when `period` (seconds) says where to look. Nothing, when
  // the pattern explains less than half of the variation.
  static std::optional<Season> find(const Path& path, std::optional<double> period);
  double period() const { return period_; }
  // Deviation at `t` seconds from now.
  double at(double t) const;
  // Highest deviation within the next `seconds`.
  double highest(double seconds) const;

 private:
  double period_ = 0;
  std::vector<double> profile_;  // by phase of t, the first one for t = 0
};

}  // namespace foreshadow::foresee
