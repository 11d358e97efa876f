// The phases around the handover: from a calm resource to a shadow that is judged and given work, and from the end of a
// handover to calm again.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

// Does what is due in the present phase. Called after every event.
void advance(Context& c);

void on_outlook(Context& c, const Outlook& outlook);
void on_evidence(Context& c, const Evidence& evidence);
void on_counterfactual(Context& c, const CounterfactualSeen& seen);
void on_command(Context& c, const Command& command);
void on_effect_done(Context& c, const EffectBody& body, EffectId id, const EffectDone& done);

// From handover.cpp: gates are open on the old side again; back to a shadow in waiting, or withdrawn.
void leave_handover(Context& c);
// From handover.cpp: the new side serves.
void handed_over(Context& c);

}  // namespace foreshadow::decide
