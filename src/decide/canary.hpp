// Is the shadow fit to take work? Judged against absolute objectives and paired answers, never against the primary of
// now: that one is failing, and "no worse" would prove nothing.
//
// Sequential and always valid: the verdict may be looked at after every request without inflating false alarms. Each
// rate is tested by a mixture of likelihood ratios, an e-process by Ville's inequality (Robbins 1970; Ramdas, Gruenwald,
// Vovk, Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference").
#pragma once

#include <string>

#include "decide/state.hpp"

namespace foreshadow::decide {

enum class Fitness { fit, unfit, inconclusive };

struct Judgement {
  Fitness fitness = Fitness::inconclusive;
  std::string why;
};

// Log of the e-value against "the rate is at most `rate_max`", after `hits` in `n`. At or above log(1/alpha) the rate is
// proven too high, at any time one looks, with error probability at most alpha.
double log_evidence_above(std::uint64_t hits, std::uint64_t n, double rate_max);
// The same against "the rate is at least `rate_min`": high evidence proves it low.
double log_evidence_below(std::uint64_t hits, std::uint64_t n, double rate_min);

// unfit: some objective is proven broken. fit: every rate is proven below three times its objective, or `requests_min`
// requests passed without proof against any. inconclusive: too little was seen.
Judgement judge(const Tally& tally, const CanaryPolicy& policy);

}  // namespace foreshadow::decide
