// Engine time for a real controller: the wall clock is read once, at start, and from then on the monotonic clock moves it.
// A stepped or slewed wall clock changes no decision. Only here may the wall clock be read.
#pragma once

#include <chrono>

#include "base/time.hpp"

namespace foreshadow::app {

class WallClock final : public Clock {
 public:
  WallClock()
      : wall_(std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now()).time_since_epoch()),
        mono_(std::chrono::steady_clock::now()) {}
  Time now() override {
    return Time{wall_ + std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - mono_)};
  }

 private:
  const Millis wall_;
  const std::chrono::steady_clock::time_point mono_;
};

}  // namespace foreshadow::app
