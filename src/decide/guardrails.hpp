// What outranks a prediction: pause, freeze, autonomy, budgets, cooldown, approval, sessions that cannot move. Pure
// questions; the answer is a reason not to, for people, or nothing.
#pragma once

#include <optional>
#include <string>

#include "decide/state.hpp"

namespace foreshadow::decide {

// A refusal, and whether a person could lift it by approving.
struct Refusal {
  std::string why;
  bool approval_lifts = false;
  // Passes by itself, or is what a person has just asked for: no reason to call anybody.
  bool quiet = false;
};

std::optional<Refusal> may_not_shadow(const State& state, const Lifecycle& l, Time now);
std::optional<Refusal> may_not_hand_over(const State& state, const Lifecycle& l, Time now);

// Of a failover: what a dead side needs before its shadow may serve by itself, or (failover.wanted) because a person says
// so. Quiet: it is too early yet, or a person has been told.
std::optional<Refusal> may_not_fail_over(const State& state, const Lifecycle& l, Time now);

// Not empty when so many failure domains are bad at once that the cause is not in any one of them. A domain counts once,
// however many resources it carries; below three domains nothing can be said.
std::string correlated_badness(const State& state);

// Forgets entries older than a day.
void age_budgets(Lifecycle& l, Time now);

}  // namespace foreshadow::decide
