// The handover, step by step. Before the seal an abort costs nothing; after the fence the old primary is started again
// first; from promotion on the only way is forward. Whatever is in doubt before that releases to the old primary.
//
//   prepare -> hold -> prove equal -> seal -> fence -> check the fenced -> promote -> switch -> rejoin the old primary
//
// Kinds that share their data have nothing to prepare, fence or promote: hold, prove, seal, switch.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

// Requires: a ready shadow and no guardrail against it.
void begin_handover(Context& c, const std::string& why);
// Starts what is due when nothing is under way: a retried step, a waiting attempt.
void advance_handover(Context& c);
// An abort from a person, before the point of no return.
void abort_handover(Context& c);
// Who serves changes here, and only here. Requires: the shadow may write, or needs no leave to.
void switch_over(Context& c, const std::string& why);

void on_prepare(Context& c, const EffectDone& done);
void on_hold(Context& c, const EffectDone& done);
void on_prove_equal(Context& c, const EffectDone& done);
void on_seal(Context& c, const EffectDone& done);
void on_fence(Context& c, const EffectDone& done);
void on_check_fenced(Context& c, const EffectDone& done);
void on_promote(Context& c, const EffectDone& done);
void on_switch(Context& c, const EffectDone& done);
void on_release(Context& c, const EffectDone& done);
void on_revive(Context& c, const EffectDone& done);

}  // namespace foreshadow::decide
