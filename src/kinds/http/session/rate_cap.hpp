// At most so many a second: a token bucket that holds a tenth of a second's worth, and one token at least.
#pragma once

#include <algorithm>
#include <chrono>

namespace foreshadow::kinds::http {

// On one thread.
class RateCap {
 public:
  using Steady = std::chrono::steady_clock;
  // 0: none at all.
  explicit RateCap(double per_s) : per_s_(per_s), most_(per_s > 0 ? std::max(1.0, per_s / 10) : 0), tokens_(most_) {}

  // Requires: not earlier than the one before.
  bool take(Steady::time_point now) {
    tokens_ = std::min(most_, tokens_ + per_s_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double per_s_;
  double most_;
  double tokens_;
  Steady::time_point last_{};
};

}  // namespace foreshadow::kinds::http
