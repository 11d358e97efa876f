#include "decide/failover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "decide/aftermath.hpp"
#include "decide/guardrails.hpp"
#include "decide/handover.hpp"
#include "decide/phases.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

constexpr int hold_attempts_to_page = 3;
constexpr int fence_attempts_max = 3;
constexpr int assess_attempts_max = 5;
constexpr int promote_attempts_max = 4;
constexpr int revive_attempts_max = 3;
constexpr Millis retry_pause{500};
constexpr Millis revive_pause{2000};

std::uint64_t next_epoch(const Lifecycle& l) { return l.epoch + 1; }

void hold(Context& c, const std::string& why) {
  c.enter(HandoverStep::holding);
  c.l.acks.clear();
  c.l.proof.clear();
  c.l.found.clear();
  c.l.seal_asked = false;
  c.start(Hold{next_epoch(c.l), c.l.policy.hold, true}, why);
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

void assess(Context& c, const std::string& why) {
  c.enter(HandoverStep::assessing);
  c.start(Assess{c.l.current, *c.l.shadow, next_epoch(c.l),
                 std::max(c.l.policy.failover.loss_max_bytes, c.l.failover.loss_accepted_bytes)},
          why);
}

void promote(Context& c, const std::string& why) {
  c.enter(HandoverStep::promoting);
  c.start(Promote{c.l.current, *c.l.shadow, next_epoch(c.l), c.l.acks}, why);
}

// Why not to go on, for as long as going back costs nothing: a person said so, or the side that was dead answers again.
std::optional<std::string> reason_to_leave(const Context& c) {
  const auto& l = c.l;
  if (l.bypassed) return "bypassed by " + l.bypassed_by;
  if (l.aborting) return "aborted by a person";
  if (l.paused || c.state.paused) return "paused by a person";
  if (!l.failover.dead_since && !l.failover.wanted) return l.current.id + " answers again";
  return std::nullopt;
}

// Gates are open to the old side again.
void leave(Context& c) {
  auto& l = c.l;
  const auto why = l.blocked_why;
  const bool from_standby = l.standby && l.shadow && l.standby->id == l.shadow->id;
  // What a person ended, or the shadow could not, is not begun again by itself: not before the side was seen alive.
  if ((l.aborting || l.unpromotable) && l.failover.ended_why.empty()) l.failover.ended_why = why;
  l.failover.under_way = l.failover.wanted = l.aborting = l.forward_only = false;
  l.failover.loss_accepted_bytes = 0;
  l.proof.clear();
  l.found.clear();
  l.failover.lost.clear();
  c.page(fmt::format("{}: the failover to {} was given up, clients stay on {}: {}", l.resource.id,
                     l.shadow ? l.shadow->id : "nobody", l.current.id, why));
  if (from_standby) {
    l.shadow.reset();
    c.enter(Phase::observing);
  } else {
    // The only other copy there is: it is not given back while its primary may be gone.
    c.enter(Phase::shifting);
  }
  l.blocked_why = why;
  c.retry_after(std::max(l.policy.hold.retry_after * 4, Millis{2000}));
}

void begin(Context& c, const std::string& why) {
  auto& l = c.l;
  const Instance shadow = *successor(l);
  if (l.phase == Phase::watching) {
    // The old primary is all there is, and a person has said that it will do.
    l.unlabelled = facts_of_watch(l, c.now, "its successor died while it was watched");
    l.old_primary.reset();
    l.prediction.reset();
    l.segments.clear();
    for (const auto& segment : l.resource.segments) l.segments.push_back({segment.id, 0, c.now, {}, {}});
  }
  c.enter(Phase::handing_over);
  l.shadow = shadow;
  l.handover_began = c.now;
  l.handovers.push_back(c.now);
  l.failover.under_way = true;
  l.forward_only = l.given_up = l.unpromotable = false;
  l.failover.lost.clear();
  l.blocked_why.clear();
  hold(c, why);
}

void tell_refusal(Context& c, const Refusal& refusal) {
  auto& l = c.l;
  l.blocked_why = refusal.why;
  const bool asked = l.failover.wanted;
  // Asked for once is tried once: by the time that what is in the way has gone, it may be the wrong thing to do.
  l.failover.wanted = false;
  if (asked) l.failover.loss_accepted_bytes = 0;
  if (refusal.quiet && !asked) return;
  const auto* to = successor(l);
  c.page(fmt::format(
      "{}: {} is {}, and there is no failover: {}{}", l.resource.id, l.current.id,
      l.failover.dead_since ? "dead (" + l.failover.dead_of + ")" : "not known to be dead", refusal.why,
      to ? fmt::format(". To fail over to {}: foreshadow failover {}", to->id, l.resource.id) : std::string()));
}

void hold_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    if (++l.attempts % hold_attempts_to_page == 0)
      c.page(fmt::format("{}: {} is dead, and a failover waits for a gateway: {}", l.resource.id, l.current.id,
                         done.error->what));
    return release(c, fmt::format("hold failed ({}): {}", to_string(done.error->code), done.error->what));
  }
  l.acks = done.acks;
  if (const auto why = reason_to_leave(c)) return release(c, *why);
  c.enter(HandoverStep::sealing);
  l.seal_asked = true;
  c.start(Seal{next_epoch(l), l.acks}, "all gateways hold; what was in flight ends with its server");
}

void seal_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    ++l.attempts;
    return release(c, fmt::format("seal refused ({}): {}", to_string(done.error->code), done.error->what));
  }
  if (const auto why = reason_to_leave(c)) return release(c, *why);
  l.attempts = 0;
  fence(c, "every gateway has sealed epoch " + std::to_string(next_epoch(l)));
}

void fence_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    if (++l.attempts < fence_attempts_max || l.forward_only) return c.retry_after(retry_pause);
    c.page(fmt::format("{}: {} could not be proven fenced: {}", l.resource.id, l.current.id, done.error->what));
    l.attempts = 0;
    return revive(c, "the fence is not proven: " + done.error->what);
  }
  l.attempts = 0;
  if (l.aborting && !l.forward_only) return revive(c, "aborted by a person");
  assess(c, done.detail);
}

void assess_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    // The agent's book has a promotion under this epoch that was begun: what was assessed before it stands.
    if (done.error->code == Code::conflict && !l.proof.empty()) return promote(c, done.error->what);
    const bool no_answer = done.error->code == Code::unreachable || done.error->code == Code::timeout;
    if (no_answer && !l.aborting && ++l.attempts < assess_attempts_max) return c.retry_after(retry_pause);
    l.attempts = 0;
    l.proof.clear();
    l.forward_only = false;
    l.failover.ended_why = done.error->what;
    c.page(
        fmt::format("{}: no failover from {} to {}: {}", l.resource.id, l.current.id, l.shadow->id, done.error->what));
    return revive(c, done.error->what);
  }
  l.attempts = 0;
  if (l.aborting && !l.forward_only) return revive(c, "aborted by a person");
  l.proof = done.detail.empty() ? "assessed" : done.detail;
  const auto lost = done.facts.find("lost_bytes");
  l.failover.lost = lost != done.facts.end() && lost->second == "0" ? "" : l.proof;
  l.found = done.facts;
  std::erase_if(l.found, [](const auto& fact) { return fact.first.starts_with("lost_"); });
  promote(c, done.detail);
}

void promote_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (!done.error) return switch_over(c, done.detail);
  if (++l.attempts == 1 || l.attempts % 10 == 0)
    c.page(
        fmt::format("{}: promotion of {} has not been confirmed: {}", l.resource.id, l.shadow->id, done.error->what));
  if (l.attempts < promote_attempts_max && !l.aborting) return c.retry_after(retry_pause);
  // As in a handover: the agent judges by its book whether the old primary may be started again.
  l.attempts = 0;
  l.unpromotable = true;
  revive(c, fmt::format("{} could not be promoted: {}", l.shadow->id, done.error->what));
}

void release_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  const bool no_answer = done.error && (done.error->code == Code::unreachable || done.error->code == Code::timeout);
  // Nobody was asked to seal: who does not answer is open, or opens when its lease lapses.
  if (done.error && !(no_answer && !l.seal_asked)) {
    if (c.now - l.step_since > std::chrono::seconds{10})
      c.page(fmt::format("{}: a gateway does not answer the release", l.resource.id));
    return c.retry_after(retry_pause);
  }
  if (l.given_up || reason_to_leave(c)) return leave(c);
  c.enter(HandoverStep::holding);
  c.retry_after(l.policy.hold.retry_after);
}

void revive_answered(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (!done.error) {
    l.attempts = 0;
    // The agent has seen it take connections; what was seen before is over.
    l.current_dead = false;
    l.failover.dead_since.reset();
    l.failover.dead_seen_at.reset();
    return release(c, l.blocked_why + "; the old primary runs again");
  }
  c.page(fmt::format("{}: the old primary {} does not start again: {}", l.resource.id, l.current.id, done.error->what));
  if (!l.proof.empty()) {
    // A promotion may have begun, and only the agent knows. Whatever it found then is found again: fence and assessment
    // are repeated before anybody is promoted.
    l.forward_only = true;
    l.attempts = 0;
    c.enter(HandoverStep::fencing);
    return c.retry_after(retry_pause);
  }
  if (++l.attempts < revive_attempts_max) return c.retry_after(revive_pause);
  l.attempts = 0;
  // Neither on nor back: clients get honest errors from a dead side, as before, and a person has been told. The agent
  // has taken the fence away as far as it could, so whoever starts the old primary has a primary.
  if (l.aborting || !l.failover.ended_why.empty())
    return release(c, l.blocked_why + "; and the old primary does not start again");
  l.given_up = false;
  c.enter(HandoverStep::fencing);
  c.retry_after(retry_pause);
}

}  // namespace

const Instance* successor(const Lifecycle& l) {
  switch (l.phase) {
    case Phase::mirroring:
    case Phase::shifting:
    case Phase::handing_over:
      return l.shadow ? &*l.shadow : nullptr;
    case Phase::observing:
      return l.standby ? &*l.standby : nullptr;
    case Phase::watching:
      return l.old_primary && l.step == HandoverStep::none && !l.old_died_at ? &*l.old_primary : nullptr;
    case Phase::provisioning:
    case Phase::replicating:
    case Phase::retiring:
    case Phase::withdrawing:
      return nullptr;
  }
  return nullptr;
}

bool consider_failover(Context& c) {
  auto& l = c.l;
  if (!l.resource.traits.fences || (!l.failover.dead_since && !l.failover.wanted)) return false;
  const bool watching = l.phase == Phase::watching && l.step == HandoverStep::none;
  if (!watching && l.phase != Phase::observing && l.phase != Phase::mirroring && l.phase != Phase::shifting)
    return false;
  // A person who gives up the shadow, or ends a watch, means it.
  if (l.aborting) return false;
  const bool rests = l.failover.dead_since.has_value() && !watching;
  if (rests && !l.resource.gateways.empty()) steer_if_changed(c, "the routes again: a gateway had not acknowledged");
  if (busy(l)) return rests;
  if (l.retry_at && c.now < *l.retry_at && !l.failover.wanted) return rests;
  if (const auto refusal = may_not_fail_over(c.state, l, c.now)) {
    tell_refusal(c, *refusal);
    return rests;
  }
  begin(c, l.failover.wanted ? "an operator asked for it"
                             : fmt::format("{} is dead: {}", l.current.id, l.failover.dead_of));
  return true;
}

void advance_failover(Context& c) {
  auto& l = c.l;
  if (busy(l) || (l.retry_at && c.now < *l.retry_at)) return;
  switch (l.step) {
    case HandoverStep::holding:
      if (const auto why = reason_to_leave(c)) {
        l.blocked_why = *why;
        return leave(c);
      }
      return hold(c, fmt::format("attempt {}: {}", l.attempts + 1, l.blocked_why));
    case HandoverStep::fencing:
      return fence(c, "fence again: its result was not proven");
    case HandoverStep::assessing:
      return assess(c, "assess again: nobody had answered");
    case HandoverStep::promoting:
      return promote(c, "promote again: past the point of no return, the answer was unknown");
    case HandoverStep::releasing:
      c.start(Release{next_epoch(l)}, l.blocked_why);
      return;
    case HandoverStep::reviving:
      return revive(c, l.blocked_why);
    case HandoverStep::none:
    case HandoverStep::preparing:
    case HandoverStep::proving:
    case HandoverStep::sealing:
    case HandoverStep::checking:
    case HandoverStep::switching:
    case HandoverStep::rejoining:
      return;
  }
}

void on_failover_done(Context& c, const EffectBody& body, const EffectDone& done) {
  if (std::holds_alternative<Hold>(body)) return hold_answered(c, done);
  if (std::holds_alternative<Seal>(body)) return seal_answered(c, done);
  if (std::holds_alternative<Fence>(body)) return fence_answered(c, done);
  if (std::holds_alternative<Assess>(body)) return assess_answered(c, done);
  if (std::holds_alternative<Promote>(body)) return promote_answered(c, done);
  if (std::holds_alternative<Release>(body)) return release_answered(c, done);
  if (std::holds_alternative<Revive>(body)) return revive_answered(c, done);
}

void failed_over(Context& c) {
  auto& l = c.l;
  auto facts = facts_of_watch(l, c.now, "it died, and its work failed over");
  facts.handover_ended_at = c.now;
  facts.failed_at = l.failover.dead_since.value_or(*l.handover_began);
  l.unlabelled = facts;
  l.handover_ended = c.now;
  l.handover_wanted = l.failover.wanted = l.current_dead = false;
  l.approved = Question::none;
  l.failover.loss_accepted_bytes = 0;
  l.failover.dead_since.reset();
  l.failover.dead_seen_at.reset();
  l.failover.dead_of.clear();
  l.failover.ended_why.clear();
  l.blocked_why.clear();
  if (l.standby && l.standby->id == l.current.id) l.standby.reset();
  if (!l.failover.lost.empty()) {
    c.page(
        fmt::format("{}: {} serves in place of {}, and not without loss: {}. The data directory of {} holds what is "
                    "missing and is left as it is",
                    l.resource.id, l.current.id, l.old_primary->id, l.failover.lost, l.old_primary->id));
    l.failover.under_way = false;
    return settle(c);
  }
  c.page(fmt::format("{}: {} had died; {} serves in its place, and nothing is lost: {}", l.resource.id,
                     l.old_primary->id, l.current.id, l.proof));
  c.enter(Phase::watching);
  c.enter(HandoverStep::rejoining);
  c.start(Rejoin{*l.old_primary, l.current, l.epoch}, "the old primary becomes a standby");
}

}  // namespace foreshadow::decide
