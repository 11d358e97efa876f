// After a handover, or in place of one: the old primary is watched, then kept or rebuilt; a shadow that is not needed
// is given back.
#pragma once

#include <string>

#include "decide/context.hpp"

namespace foreshadow::decide {

void advance_watching(Context& c);
void advance_retiring(Context& c);
void advance_withdrawing(Context& c);

void on_rejoin(Context& c, const EffectDone& done);
void on_retire(Context& c, const Retire& retire, const EffectDone& done);

// What is known of the old primary, for learn's label.
Outcome facts_of_watch(const Lifecycle& l, Time now, const std::string& why);

}  // namespace foreshadow::decide
