// Before the handover: from a calm resource to a shadow that is judged and given work, least sensitive segments first.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

void advance_observing(Context& c);
void advance_mirroring(Context& c);
void advance_shifting(Context& c);

void on_provision(Context& c, EffectId id, const EffectDone& done);
void on_replicate(Context& c, const EffectDone& done);

// The shadow may be further behind than this segment allows; one whose lag has not been known for long may be as stale
// as it likes.
bool too_stale(const Lifecycle& l, const Segment& segment, Time now);

}  // namespace foreshadow::decide
