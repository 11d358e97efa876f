// What was seen of the world, written into the state.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

void on_outlook(Context& c, const Outlook& outlook);
void on_evidence(Context& c, const Evidence& evidence);
// Of the current instance: what is said of others changes nothing.
void on_instance_seen(Context& c, const InstanceSeen& seen);
void on_counterfactual(Context& c, const CounterfactualSeen& seen);

}  // namespace foreshadow::decide
