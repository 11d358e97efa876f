// A growing counter as a rate. Knows whose counter it is: another owner, or a counter that went back, starts it over.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace foreshadow::observe {

// Not thread-safe. `owner` tells one life of the counted thing from the next.
class RateMeter {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  // Per second since the last call; absent at the first one of an owner, after a step back, and when no time has
  // passed.
  std::optional<double> update(std::uint64_t owner, double count, Instant at) {
    std::optional<double> rate;
    if (last_ && last_->owner == owner && count >= last_->count && at > last_->at)
      rate = (count - last_->count) / std::chrono::duration<double>(at - last_->at).count();
    last_ = Last{owner, count, at};
    return rate;
  }
  void forget() { last_.reset(); }

 private:
  struct Last {
    std::uint64_t owner;
    double count;
    Instant at;
  };
  std::optional<Last> last_;
};

}  // namespace foreshadow::observe
