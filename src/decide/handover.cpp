#include "decide/handover.hpp"

#include <fmt/format.h>

#include "base/assert.hpp"
#include "decide/guardrails.hpp"
#include "decide/lifecycle.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

constexpr int fence_attempts_max = 3;
constexpr int promote_attempts_max = 4;
constexpr Millis retry_pause{500};

std::uint64_t next_epoch(const Lifecycle& l) { return l.epoch + 1; }

void hold(Context& c, const std::string& why) {
  c.enter(HandoverStep::holding);
  c.l.acks.clear();
  c.l.proof.clear();
  c.l.found.clear();
  c.l.seal_asked = false;
  c.start(Hold{next_epoch(c.l), c.l.policy.hold}, why);
}

void prepare(Context& c, const std::string& why) {
  c.enter(HandoverStep::preparing);
  c.start(Prepare{c.l.current, *c.l.shadow, next_epoch(c.l)}, why);
}

void release(Context& c, const std::string& why) {
  c.l.blocked_why = why;
  c.enter(HandoverStep::releasing);
  c.start(Release{next_epoch(c.l)}, why);
}

void revive(Context& c, const std::string& why) {
  c.l.blocked_why = why;
  c.l.given_up = true;
  c.enter(HandoverStep::reviving);
  c.start(Revive{c.l.current, next_epoch(c.l)}, why);
}

void fence(Context& c, const std::string& why) {
  c.enter(HandoverStep::fencing);
  c.start(Fence{c.l.current, *c.l.shadow, next_epoch(c.l), c.l.acks}, why);
}

void check(Context& c, const std::string& why) {
  c.enter(HandoverStep::checking);
  c.start(CheckFenced{c.l.current, *c.l.shadow, c.l.proof, next_epoch(c.l)}, why);
}

void promote(Context& c, const std::string& why) {
  c.enter(HandoverStep::promoting);
  c.start(Promote{c.l.current, *c.l.shadow, next_epoch(c.l), c.l.acks}, why);
}

// Pause, bypass and abort all mean: not now. They are honoured at every step that can still go back.
bool told_to_stop(const Context& c) { return c.l.aborting || c.l.bypassed || c.l.paused || c.state.paused; }

std::string told_by(const Context& c) {
  if (c.l.bypassed) return "bypassed by " + c.l.bypassed_by;
  return c.l.aborting ? "aborted by a person" : "paused by a person";
}

// A handover counts against its budget from here on: before, nobody has felt anything of it.
void begin_hold(Context& c, const std::string& why) {
  c.l.handovers.push_back(c.now);
  hold(c, why);
}

}  // namespace

void switch_over(Context& c, const std::string& why) {
  auto& l = c.l;
  FS_ASSERT(l.shadow.has_value());
  ++l.epoch;
  l.old_primary = l.current;
  l.current = *l.shadow;
  l.shadow.reset();
  l.facts = std::move(l.found);
  l.found.clear();
  l.segments.clear();
  l.attempts = 0;
  l.aborting = false;
  c.enter(HandoverStep::switching);
  steer_if_changed(c, why);
}

void begin_handover(Context& c, const std::string& why) {
  c.enter(Phase::handing_over);
  c.l.handover_began = c.now;
  c.l.forward_only = c.l.given_up = c.l.unpromotable = false;
  c.l.blocked_why.clear();
  if (c.l.resource.traits.fences) return prepare(c, why);
  begin_hold(c, why);
}

void advance_handover(Context& c) {
  auto& l = c.l;
  if (busy(l) || (l.retry_at && c.now < *l.retry_at)) return;
  switch (l.step) {
    case HandoverStep::holding:
      // A retried attempt asks the guardrails again: the world has moved on since the first.
      if (const auto refusal = may_not_hand_over(c.state, l, c.now); told_to_stop(c) || (refusal && l.attempts > 0)) {
        l.blocked_why = refusal ? refusal->why : told_by(c);
        leave_handover(c);
      } else {
        hold(c, fmt::format("attempt {}: {}", l.attempts + 1, l.blocked_why));
      }
      return;
    case HandoverStep::fencing: return fence(c, "fence again: its result was not proven");
    case HandoverStep::promoting: return promote(c, "promote again: past the point of no return, the answer was unknown");
    case HandoverStep::checking: return check(c, "read the old log again: nobody had answered");
    case HandoverStep::switching:
      // A table of the old epoch may have been under way when the side changed: it is not the switch.
      if (l.table.epoch != l.epoch) return steer_if_changed(c, "switch every gateway");
      return steer_again(c, "switch again: a gateway had not acknowledged");
    case HandoverStep::releasing:
      c.start(Release{next_epoch(l)}, l.blocked_why);
      return;
    case HandoverStep::reviving: return revive(c, l.blocked_why);
    case HandoverStep::none:
    case HandoverStep::preparing:
    case HandoverStep::assessing:
    case HandoverStep::proving:
    case HandoverStep::sealing:
    case HandoverStep::rejoining: return;
  }
}

void abort_handover(Context& c) {
  c.l.aborting = true;
  // A fence or a revival is let finish: half of one is worse than either end.
  if (c.l.step == HandoverStep::preparing || c.l.step == HandoverStep::holding || c.l.step == HandoverStep::proving || c.l.step == HandoverStep::sealing)
    c.cancel_pending();
}

void on_prepare(Context& c, const EffectDone& done) {
  auto& l = c.l;
  const bool refused = done.error && done.error->code == Code::refused;
  if (refused || told_to_stop(c)) {
    l.blocked_why = refused ? done.error->what : told_by(c);
    return leave_handover(c);
  }
  // Unprepared it only takes longer, and a primary that is about to fail may not let itself be prepared any more.
  begin_hold(c, done.error ? fmt::format("unprepared ({}): {}", to_string(done.error->code), done.error->what) : done.detail);
}

void on_hold(Context& c, const EffectDone& done) {
  if (done.error) {
    ++c.l.attempts;
    return release(c, fmt::format("hold failed ({}): {}", to_string(done.error->code), done.error->what));
  }
  c.l.acks = done.acks;
  if (told_to_stop(c)) return release(c, told_by(c));
  c.enter(HandoverStep::proving);
  c.start(ProveEqual{c.l.current, *c.l.shadow, next_epoch(c.l)}, "all gateways hold: " + done.detail);
}

void on_prove_equal(Context& c, const EffectDone& done) {
  if (done.error) {
    ++c.l.attempts;
    return release(c, fmt::format("equality not proven ({}): {}", to_string(done.error->code), done.error->what));
  }
  c.l.proof = done.proof;
  if (told_to_stop(c)) return release(c, told_by(c));
  c.enter(HandoverStep::sealing);
  c.l.seal_asked = true;
  c.start(Seal{next_epoch(c.l), c.l.acks}, "the shadow has everything: " + done.detail);
}

void on_seal(Context& c, const EffectDone& done) {
  if (done.error) {
    ++c.l.attempts;
    return release(c, fmt::format("seal refused ({}): {}", to_string(done.error->code), done.error->what));
  }
  if (told_to_stop(c)) return release(c, told_by(c));
  c.l.attempts = 0;
  if (!c.l.resource.traits.fences) return switch_over(c, "sealed; data is shared, so the shadow serves from now on");
  fence(c, "every gateway has sealed epoch " + std::to_string(next_epoch(c.l)));
}

void on_fence(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    if (++l.attempts < fence_attempts_max || l.forward_only) return c.retry_after(retry_pause);
    c.page(fmt::format("{}: the old primary {} could not be proven fenced: {}", l.resource.id, l.current.id, done.error->what));
    l.attempts = 0;
    return revive(c, "the fence is not proven: " + done.error->what);
  }
  if (l.aborting && !l.forward_only) return revive(c, told_by(c));
  l.attempts = 0;
  check(c, done.detail);
}

void on_check_fenced(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    // It only reads, so an answer that did not come may be asked for again.
    const bool no_answer = done.error->code == Code::unreachable || done.error->code == Code::timeout;
    if (no_answer && !l.aborting && ++l.attempts < fence_attempts_max) return c.retry_after(retry_pause);
    l.attempts = 0;
    // A commit past the proof: the shadow lacks an acknowledged write, so the way is only back. Where nobody can tell, the
    // way is back too, but the proof stands: should the old primary not start, its log is read again before anything else.
    if (done.error->code == Code::conflict) {
      l.proof.clear();
      l.forward_only = false;
    }
    c.page(fmt::format("{}: handover given up after the fence: {}", l.resource.id, done.error->what));
    return revive(c, done.error->what);
  }
  l.attempts = 0;
  if (l.aborting && !l.forward_only) return revive(c, told_by(c));
  l.found = done.facts;
  promote(c, done.detail);
}

void on_promote(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (!done.error) return switch_over(c, done.detail);
  if (++l.attempts == 1 || l.attempts % 10 == 0)
    c.page(fmt::format("{}: promotion of {} has not been confirmed: {}", l.resource.id, l.shadow->id, done.error->what));
  if (l.attempts < promote_attempts_max && !l.aborting) return c.retry_after(retry_pause);
  // A shadow that cannot be promoted must not keep clients waiting while the old primary could serve. The agent judges,
  // by its book: it revives nothing once a promotion under this epoch may have begun, and then the way is on again.
  l.attempts = 0;
  l.unpromotable = true;
  revive(c, fmt::format("{} could not be promoted: {}", l.shadow->id, done.error->what));
}

void on_switch(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (l.table.epoch != l.epoch) {
    l.retry_at.reset();
    return steer_if_changed(c, "switch every gateway");
  }
  if (done.error) {
    if (++l.attempts % 10 == 0)
      c.page(fmt::format("{}: a gateway does not take epoch {}: {}", l.resource.id, l.epoch, done.error->what));
    if (done.error->code == Code::conflict) l.table = {};
    return c.retry_after(Millis{100});
  }
  l.attempts = 0;
  handed_over(c);
}

void on_release(Context& c, const EffectDone& done) {
  auto& l = c.l;
  const bool no_answer = done.error && (done.error->code == Code::unreachable || done.error->code == Code::timeout);
  // Nobody was asked to seal: who does not answer is open, or opens when its lease lapses. The others have been
  // released.
  if (done.error && !(no_answer && !l.seal_asked)) {
    if (c.now - l.step_since > std::chrono::seconds{10})
      c.page(fmt::format("{}: a gateway does not answer the release", l.resource.id));
    return c.retry_after(retry_pause);
  }
  if (told_to_stop(c) || l.given_up || l.attempts == 0 || l.attempts >= l.policy.hold.attempts_max) return leave_handover(c);
  c.enter(HandoverStep::holding);
  c.retry_after(l.policy.hold.retry_after);
}

void on_revive(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (!done.error) {
    l.attempts = 0;
    return release(c, l.blocked_why + "; the old primary runs again");
  }
  c.page(fmt::format("{}: the old primary {} does not start again: {}", l.resource.id, l.current.id, done.error->what));
  if (l.proof.empty()) return c.retry_after(Millis{2000});
  // Equality was proven and every gateway is sealed: on is safe as soon as the fence is proven, and back is not to be had.
  l.forward_only = true;
  l.attempts = 0;
  c.enter(HandoverStep::fencing);
  c.retry_after(retry_pause);
}

}  // namespace foreshadow::decide
