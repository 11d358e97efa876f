// How long a client may leave an instance waiting for more of a body. A client that sends a byte now and then would
// keep the instance's connection, and every hold, for ever; so on average it must be faster than that. Only time in
// which nobody but the client is waited for counts: a slow instance's is not the client's.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/time.hpp"

namespace foreshadow::kinds::http {

class BodyPace {
 public:
  using Steady = std::chrono::steady_clock;
  // What a slow start, or a lost packet, may cost.
  static constexpr Millis kGrace{10'000};

  // `bytes_per_s_min` 0: any pace. `idle`: the longest wait for any byte.
  BodyPace(std::uint64_t bytes_per_s_min, Millis idle) : rate_(bytes_per_s_min), idle_(idle) {}

  // The client is waited for from now on, and so many bytes have come from it. How long it may take.
  Millis begin(std::uint64_t bytes, Steady::time_point now = Steady::now()) {
    began_ = now;
    if (rate_ == 0) return idle_;
    const Millis earned(bytes > kBytesMax ? kBytesMax : bytes * 1000 / rate_);
    const auto left = kGrace + earned - std::chrono::duration_cast<Millis>(waited_);
    return std::clamp(left, Millis{1}, idle_);
  }
  void end(Steady::time_point now = Steady::now()) { waited_ += now - began_; }

 private:
  static constexpr std::uint64_t kBytesMax = 1ULL << 50;  // at any rate more time than there is
  std::uint64_t rate_;
  Millis idle_;
  Steady::time_point began_{};
  Steady::duration waited_{0};
};

}  // namespace foreshadow::kinds::http
