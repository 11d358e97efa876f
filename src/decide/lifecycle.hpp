// The life of a resource: which phase's turn it is, and who takes an effect's answer. The phases themselves stand in
// shadowing, handover, failover and aftermath.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

// Does what is due in the present phase. Called after every event.
void advance(Context& c);
void on_effect_done(Context& c, const EffectBody& body, EffectId id, const EffectDone& done);

// From handover.cpp: gates are open on the old side again; back to a shadow in waiting, or withdrawn.
void leave_handover(Context& c);
// From handover.cpp: the new side serves.
void handed_over(Context& c);

}  // namespace foreshadow::decide
