// The decision: one event in, the next state and what is to be done out. Pure; the same events give the same decisions.
#pragma once

#include <optional>
#include <vector>

#include "decide/state.hpp"

namespace foreshadow::decide {

struct Next {
  State state;
  std::vector<Effect> effects;        // to be started, in order
  std::vector<EffectId> cancellations;  // running effects to give up; they still answer
};

Next step(State state, const Event& event);

// When a Ticked event is due, if nothing else happens first.
std::optional<Time> next_deadline(const State& state);

// What would be done for this resource now, and what stands in the way: `foreshadow plan`. Lines for people.
std::vector<std::string> explain_now(const State& state, const ResourceId& resource);

}  // namespace foreshadow::decide
