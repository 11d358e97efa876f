// Moves the thresholds to where the score comes true as often as it says, inside the operator's bounds. Pure.
#pragma once

#include <vector>

#include "domain/outcome.hpp"
#include "domain/policy.hpp"

namespace foreshadow::learn {

inline constexpr int resolved_min = 10;       // no move before so many resolved outcomes
inline constexpr int resolved_between = 5;    // nor before so many new ones since the last move
inline constexpr double move_max = 0.05;

// Compares what the scores promised with the share of resolved outcomes that were confirmed (posterior mean under a
// uniform prior). Promised more than came: both thresholds rise; less: both fall. A late failure counts as not confirmed:
// the claim was about its horizon.
Tuning tune(const std::vector<Outcome>& outcomes, const Tuning& now, const ThresholdBounds& bounds);

}  // namespace foreshadow::learn
