// When a field that differs between primary and shadow says something: when it does so clearly more often than it
// differs between two answers of the shadow itself (twitter/diffy's rule, JoinedDifferences). Pure.
#pragma once

#include <cmath>
#include <cstdint>

namespace foreshadow::kinds::http {

struct NoiseRule {
  double relative = 0.2;     // of the sum of both rates: 0.2 asks for half as much again as noise explains
  double absolute = 0.0003;  // of all pairs

  bool beyond(double raw_rate, double noise_rate) const {
    const double more = raw_rate - noise_rate;
    return more > absolute && more > relative * (raw_rate + noise_rate);
  }
};

// The share of pairs in which something happened, the newest weighing most: a pair weighs 1 - 1/window of the one after
// it. The same as the plain share while there are few.
class RecentShare {
 public:
  // `n`: number of the pair, counted from 1 and never less than the last.
  void happened(std::uint64_t n, double window) {
    weight_ = weight_at(n, window) + 1;
    last_ = n;
  }
  // After n pairs.
  double at(std::uint64_t n, double window) const {
    if (n == 0) return 0;
    const double all = (1 - std::pow(1 - 1 / window, static_cast<double>(n))) * window;
    return weight_at(n, window) / all;
  }
  std::uint64_t last() const { return last_; }

 private:
  double weight_at(std::uint64_t n, double window) const {
    return weight_ * std::pow(1 - 1 / window, static_cast<double>(n - last_));
  }
  double weight_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace foreshadow::kinds::http
