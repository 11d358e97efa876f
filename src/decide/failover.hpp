// The failover: the primary of a kind that fences has died, and nobody foresaw it. The steps are a handover's, less
// what a dead side cannot give: nothing is waited for, since what is in flight ends with its server, and nothing can be
// proven equal, so what the shadow lacks is assessed once nobody can write any more.
//
//   hold (abandon) -> seal -> fence -> assess -> promote -> switch -> rejoin the old primary
//
// By itself it begins only where may_not_fail_over() has nothing against it; otherwise a person is told the command. It
// never promotes a shadow that lacks more than the policy or that person accepts, nor one whose loss nobody can tell,
// and never lets an old disk be overwritten that holds what was lost. Until the promotion the way back is to start the
// old primary again, which loses nothing.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

// Whom the current side would fail over to as things stand; null: there is nobody.
const Instance* successor(const Lifecycle& l);

// Begins one if the current side is dead, or a person asked. True: nothing else is to be done now, because one began,
// or because a dead side can neither be copied from nor handed over.
bool consider_failover(Context& c);
// Starts what is due when nothing is under way. Requires: failing over, and the switch has not begun.
void advance_failover(Context& c);
// Takes the answer to one of its steps.
void on_failover_done(Context& c, const EffectBody& body, const EffectDone& done);
// The new side serves: says what was lost, and has the old primary follow if that overwrites nothing.
void failed_over(Context& c);

}  // namespace foreshadow::decide
