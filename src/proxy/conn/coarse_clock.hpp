// The steady clock as it was at the kernel's last tick, for a fraction of the price of asking it (clock_gettime(2),
// CLOCK_MONOTONIC_COARSE): for deadlines of seconds, not for latencies.
#pragma once

#include <chrono>
#include <ctime>

namespace foreshadow::proxy {

// What it is behind by, at most: one tick where HZ is 100.
inline constexpr std::chrono::milliseconds kCoarse{10};

inline std::chrono::steady_clock::time_point coarse_now() {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &at);
  return std::chrono::steady_clock::time_point(std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec));
}

}  // namespace foreshadow::proxy
