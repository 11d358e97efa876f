// What was seen of the world, written into the state.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

void on_outlook(Context& c, const Outlook& outlook);
void on_evidence(Context& c, const Evidence& evidence);
void on_counterfactual(Context& c, const CounterfactualSeen& seen);

}  // namespace foreshadow::decide
