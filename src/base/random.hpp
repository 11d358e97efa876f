// Randomness through a port, so that one seed replays a run. xoshiro256** by Blackman and Vigna (2018),
// seeded by SplitMix64, as its authors advise. Not for secrets.
#pragma once

#include <cstdint>

namespace foreshadow {

// Not thread-safe: each owner has its own.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  // Uniform in [0, 1).
  double uniform();
  // Uniform in [0, bound). Requires bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // True with probability p.
  bool chance(double p) { return uniform() < p; }
  // Standard normal (Marsaglia polar).
  double normal();

 private:
  std::uint64_t s_[4];
};

}  // namespace foreshadow
