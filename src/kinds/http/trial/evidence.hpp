// How much speaks for it that mirroring makes the primary slower, valid whenever it is looked at: an e-process. Pure.
//
// Each observation is a bet: `lead` in [-1, 1] whose mean is at most 0 as long as there is no harm. A gambler who
// stakes a share of what she has on lead > 0 then multiplies it beyond 1/alpha with a chance of at most alpha, however
// often one looks (Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS
// B 2024, arXiv:2010.09686; Ramdas et al., "Game-theoretic statistics and safe anytime-valid inference", Statistical
// Science 2023, arXiv:2210.01948). Several stakes are played at once, because how great a harm would be is not known;
// and part of the capital waits and joins later, because when it would begin is not known either.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace foreshadow::kinds::http {

class Evidence {
 public:
  void add(double lead) {
    ++seen_;
    const auto n = static_cast<double>(seen_);
    const double joins = 1 / (n * (n + 1));  // sums to one over all n
    for (std::size_t i = 0; i < kStakes.size(); ++i)
      capital_[i] = (capital_[i] + joins) * (1 + kStakes[i] * std::clamp(lead, -1.0, 1.0));
  }
  // 1/alpha or more: harm, with a chance of at most alpha that there is none.
  double value() const {
    double sum = 0;
    for (const double capital : capital_) sum += capital;
    return sum / static_cast<double>(kStakes.size()) + 1 / (static_cast<double>(seen_) + 1);
  }
  std::uint64_t seen() const { return seen_; }

 private:
  static constexpr std::array kStakes{0.2, 0.5, 0.9};
  std::array<double, kStakes.size()> capital_{};
  std::uint64_t seen_ = 0;
};

}  // namespace foreshadow::kinds::http
