// When an instance is left alone for a while, and when it gets work again: a circuit breaker and an outlier ejection in
// one. Closed, work goes there. Enough failures open it, for a time that grows with each time, has some chance in it,
// so that gateways do not come back together, and is capped. Then it is half open: one unit of work at a time shows
// whether the instance is well again.
//
// Pure: the time and the draws are arguments. It never decides where the work goes instead; its owner does (gate_impl).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/time.hpp"
#include "domain/gateway_report.hpp"

namespace foreshadow::proxy {

// Where a number is 0, that reason does not open it.
struct CircuitSettings {
  int consecutive = 5;  // failures in a row
  double share = 0;     // failures among those of the last `interval`, 0 to 1,
  int volume_min = 50;  // if there were as many
  Millis interval{10'000};
  Millis open{1000};  // times the number of times, less one for each such time that it was then closed
  Millis open_max{300'000};
};

class Circuit {
 public:
  // Monotonic.
  using Now = std::chrono::steady_clock::time_point;

  explicit Circuit(CircuitSettings settings) : settings_(settings) {}

  bool closed() const { return state_ == CircuitState::closed; }
  CircuitState state(Now now) const;
  // May a unit of work go there now? Half open that is a try; if nothing is heard of one, there is another after a
  // while.
  bool admits(Now now);
  // When it admits work again, if it is not closed.
  Now next_try() const { return until_; }
  // True: that closed it.
  bool succeeded();
  // `draw`: 0 to 1, by chance. True: that opened it, for the first time or again. `why`: names the failure, for people.
  bool failed(Now now, double draw, const char* why);

  std::uint64_t opened() const { return opened_; }
  const std::string& why() const { return why_; }

 private:
  void open(Now now, double draw, std::string why);

  CircuitSettings settings_;
  CircuitState state_ = CircuitState::closed;
  Now until_{};      // open until; half open: the next try
  Now closed_at_{};  // the last time
  std::int64_t times_ = 0;
  int in_a_row_ = 0;
  Now window_from_{};  // failures are counted in windows that begin with one
  std::uint64_t window_all_ = 0;
  std::uint64_t window_failed_ = 0;
  std::uint64_t opened_ = 0;
  std::string why_;
};

}  // namespace foreshadow::proxy
