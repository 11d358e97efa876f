// Growth that ends by itself: a cache that fills, a pool that warms up. y = a + b exp(-k t) with b < 0, against the
// straight pieces of the same time (damped trend, Gardner and McKenzie 1985; evidence by BIC).
#pragma once

#include <vector>

#include "foresee/forecast/segments.hpp"

namespace foreshadow::foresee {

// One rate of decay that the past allows, and what it says of now.
struct Saturating {
  double weight = 0;  // of this rate among all; they sum to one
  double rate = 0;    // k, per second
  double level = 0;   // now
  double slope = 0;   // now, per second
};
struct Saturation {
  double probability = 0;  // that the growth is of this kind, and not straight
  std::vector<Saturating> rates;
};

// Looks at the last piece and the pieces before it as long as they rose, each steeper than the next.
Saturation find_saturation(const Path& path, const Noise& noise, const Division& division);

}  // namespace foreshadow::foresee
