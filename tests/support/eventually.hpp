// Waiting in tests: poll a condition against a deadline, never sleep a guessed time.
#pragma once

#include <chrono>
#include <thread>

namespace foreshadow::testing {

// True as soon as `condition()` is; false when `within` has passed without it.
template <class Condition>
bool eventually(Condition&& condition, std::chrono::milliseconds within = std::chrono::seconds(20),
                std::chrono::milliseconds step = std::chrono::milliseconds(2)) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    std::this_thread::sleep_for(step);
  }
  return true;
}

}  // namespace foreshadow::testing
