// What the phases share: how one of them ends, and how its parts are looked up. Never seen outside decide.
#pragma once

#include <string>

#include "decide/context.hpp"

namespace foreshadow::decide {

// Null: no such segment is under way.
SegmentProgress* progress_of(Lifecycle& l, const SegmentId& id);
// The key it was provisioned under; empty: not ours.
std::string key_of(const Lifecycle& l, const InstanceId& id);

// Everything back to the current side, then the shadow is given back.
void withdraw(Context& c, const std::string& why);
// Calm: the current side alone, and a time of cooling down.
void settle(Context& c);

}  // namespace foreshadow::decide
