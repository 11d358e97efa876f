// Where the present began: the best division of a path into straight pieces, by dynamic programming over all divisions
// (optimal partitioning; Jackson and others 2005, Killick and others 2012), pieces paid for by a BIC-like penalty.
// Pieces need not join, so a step costs one more piece and no slope.
#pragma once

#include <vector>

#include "foresee/forecast/noise.hpp"
#include "foresee/forecast/path.hpp"

namespace foreshadow::foresee {

struct Division {
  std::vector<std::size_t> begins;  // index where each piece begins, ascending, the first one zero
  double penalty = 0;               // what each piece costs, in squared deviations
};

// The last piece has at least `samples_min` points (or all) and spans at least `span_min` seconds where the path does.
// The newest 48 points are tried one by one as a beginning, older ones in groups.
Division divide(const Path& path, const Noise& noise, std::size_t samples_min, double span_min);

}  // namespace foreshadow::foresee
