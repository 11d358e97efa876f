// When each request is due, fixed before the first one is sent: a Poisson process of one seed. Answers never move it,
// so a stalled server is charged for every request that should have been sent meanwhile. (Waiting for an answer before
// sending the next hides exactly the stalls that we are here to measure: "coordinated omission", as Gil Tene named it.)
#pragma once

#include <chrono>
#include <cstdint>

#include "base/random.hpp"

namespace load {

using SteadyTime = std::chrono::steady_clock::time_point;
using Micros = std::chrono::microseconds;

struct Arrival {
  std::uint64_t seq = 0;
  Micros due{0};             // since the start
  std::uint64_t choice = 0;  // the random draw that decides what this request is: same seed, same requests
};

// Not thread-safe.
class Schedule {
 public:
  // Requires rate_per_s > 0. Ends after `length`.
  Schedule(double rate_per_s, Micros length, std::uint64_t seed);
  bool done() const { return next_.due >= length_; }
  // Requires !done().
  const Arrival& next() const { return next_; }
  void advance();

 private:
  foreshadow::Random random_;
  double rate_per_s_;
  Micros length_;
  double due_s_ = 0;
  Arrival next_;
};

}  // namespace load
