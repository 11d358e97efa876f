// Spreads clients that must all go over a time, so that they do not all come back at once.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.hpp"

namespace foreshadow::proxy {

// When the i-th of n (from zero) goes: within the i-th of n equal parts of `within`, where `jitter` in [0, 1) says.
inline std::chrono::microseconds spread(std::size_t i, std::size_t n, Millis within, double jitter) {
  const auto whole = std::chrono::duration<double, std::micro>(within);
  return std::chrono::duration_cast<std::chrono::microseconds>(
      whole * ((static_cast<double>(i) + jitter) / static_cast<double>(n)));
}

}  // namespace foreshadow::proxy
