#include "decide/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/units.hpp"
#include "decide/commands.hpp"
#include "decide/evidence.hpp"
#include "decide/failover.hpp"
#include "decide/guardrails.hpp"
#include "decide/lifecycle.hpp"
#include "decide/ramp.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

Lifecycle& lifecycle_of(State& state, const ResourceId& id) { return state.resources[id]; }

void on_started(State& state, const Started& started, Next& next, Time now) {
  state.term = started.term;
  for (auto& [id, l] : state.resources) {
    // Nobody answers what an earlier process was asked: it is asked again, under the new term.
    for (auto& p : l.pending) {
      p.effect.term = started.term;
      if (auto* steer = std::get_if<Steer>(&p.effect.body)) steer->table.term = started.term;
      p.since = now;
      next.effects.push_back(p.effect);
      if (p.cancelled) next.cancellations.push_back(p.effect.id);
    }
    l.gateways_seen.clear();
    Context c{state, l, now, next.effects, next.cancellations};
    // A handover's own effects carry the term, and who serves is theirs to say.
    if (l.version != 0 && l.phase != Phase::handing_over) steer_again(c, "a new controller term says the routes again");
  }
}

void on_policy(State& state, const PolicySet& set) {
  auto& l = lifecycle_of(state, set.resource.id);
  const bool fresh = l.resource.id.empty();
  const bool never_moved =
      l.epoch == 0 && (l.version == 0 || (l.phase == Phase::observing && l.current.id == set.resource.primary.id));
  l.resource = set.resource;
  l.policy = set.policy;
  if (fresh || never_moved) {
    l.current = set.resource.primary;
    if (l.version == 0) l.table = desired_table(l);
  }
  if (fresh || l.tuning.resolved == 0) {
    l.tuning = {set.resource.id, set.policy.shadowing.threshold, set.policy.critical.threshold, 0, 0, "as configured"};
  } else {
    const auto& b = set.policy.bounds;
    l.tuning.shadowing_threshold = std::clamp(l.tuning.shadowing_threshold, b.shadowing_min, b.shadowing_max);
    l.tuning.critical_threshold = std::clamp(l.tuning.critical_threshold, b.critical_min, b.critical_max);
  }
}

void on_done(Context& c, const EffectDone& done) {
  auto& pending = c.l.pending;
  const auto it = std::find_if(pending.begin(), pending.end(), [&](const Pending& p) { return p.effect.id == done.id; });
  // An answer to nothing: an effect that was started twice has answered already.
  if (it == pending.end()) return;
  const auto body = it->effect.body;
  pending.erase(it);
  on_effect_done(c, body, done.id, done);
}

void on_progress(Lifecycle& l, const EffectProgress& progress) {
  for (auto& p : l.pending)
    if (p.effect.id == progress.id) {
      p.fraction = progress.fraction;
      p.detail = progress.detail;
    }
}

void on_outcome(Lifecycle& l, const Outcome& outcome) {
  l.unlabelled.reset();
  l.outcomes.push_back(outcome);
  if (l.outcomes.size() > outcomes_max) l.outcomes.erase(l.outcomes.begin());
}

void dispatch(Context& c, const Event& event) {
  const auto& body = event.body;
  if (const auto* e = std::get_if<OutlookMade>(&body)) return on_outlook(c, e->outlook);
  if (const auto* e = std::get_if<Evidence>(&body)) return on_evidence(c, *e);
  if (const auto* e = std::get_if<Command>(&body)) return on_command(c, *e);
  if (const auto* e = std::get_if<EffectDone>(&body)) return on_done(c, *e);
  if (const auto* e = std::get_if<EffectProgress>(&body)) return on_progress(c.l, *e);
  if (const auto* e = std::get_if<CounterfactualSeen>(&body)) return on_counterfactual(c, *e);
  if (const auto* e = std::get_if<InstanceSeen>(&body)) return on_instance_seen(c, *e);
  if (const auto* e = std::get_if<OutcomeRecorded>(&body)) return on_outcome(c.l, e->outcome);
  if (const auto* e = std::get_if<Tuned>(&body)) c.l.tuning = e->tuning;
}

}  // namespace

Next step(State state, const Event& event) {
  Next next{std::move(state), {}, {}};
  auto& s = next.state;
  s.now = std::max(s.now, event.at);
  if (const auto* started = std::get_if<Started>(&event.body)) on_started(s, *started, next, s.now);
  if (const auto* set = std::get_if<PolicySet>(&event.body)) on_policy(s, *set);
  if (const auto* command = std::get_if<Command>(&event.body); command && event.resource.empty()) {
    if (command->verb == Verb::pause) s.paused = true;
    if (command->verb == Verb::resume) s.paused = false;
  }
  if (!event.resource.empty()) {
    // An event about a resource that is no longer configured changes nothing.
    if (const auto it = s.resources.find(event.resource); it != s.resources.end()) {
      Context c{s, it->second, s.now, next.effects, next.cancellations};
      dispatch(c, event);
    }
  }
  s.frozen_why = correlated_badness(s);
  for (auto& [id, l] : s.resources) {
    if (!event.resource.empty() && id != event.resource) continue;
    age_budgets(l, s.now);
    Context c{s, l, s.now, next.effects, next.cancellations};
    advance(c);
  }
  return next;
}

std::optional<Time> next_deadline(const State& state) {
  std::optional<Time> due;
  const auto consider = [&](std::optional<Time> t) {
    if (t && *t > state.now && (!due || *t < *due)) due = t;
  };
  for (const auto& [id, l] : state.resources) {
    consider(l.retry_at);
    if (l.phase == Phase::observing) consider(l.cooldown_until);
    if (l.phase == Phase::watching && l.handover_ended) consider(*l.handover_ended + l.policy.counterfactual_max);
    if (l.calm_since && l.shadow) consider(*l.calm_since + l.policy.recede_after);
    if (l.phase == Phase::shifting) {
      Time stepped = l.phase_since;
      for (const auto& p : l.segments) stepped = std::max(stepped, p.stepped_at);
      consider(stepped + step_time(l));
    }
  }
  return due;
}

namespace {

// What would be done if nobody had foreseen anything.
std::string failover_text(const State& state, const Lifecycle& l) {
  const auto* to = successor(l);
  if (!to) return fmt::format("should {} die unforeseen: there is no shadow that could take over", l.current.id);
  const auto refusal = may_not_fail_over(state, l, state.now);
  const auto whom = "fail over to " + to->id;
  if (refusal && !refusal->quiet)
    return fmt::format("should {} die unforeseen: {}, but not by itself: {}", l.current.id, whom, refusal->why);
  return fmt::format("should {} die unforeseen: {} after {}, once its fence is proven and if at most {} of its commits "
                     "are lost",
                     l.current.id, whom, format_duration(l.policy.failover.restart_grace),
                     format_bytes(static_cast<double>(l.policy.failover.loss_max_bytes)));
}

}  // namespace

std::vector<std::string> explain_now(const State& state, const ResourceId& resource) {
  const auto it = state.resources.find(resource);
  if (it == state.resources.end()) return {fmt::format("no resource named '{}'", resource)};
  const auto& l = it->second;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{} is {}{}; {} serves, epoch {}", resource, to_string(l.phase),
                              l.step == HandoverStep::none ? std::string() : fmt::format(" ({})", to_string(l.step)),
                              l.current.id, l.epoch));
  lines.push_back("now: " + claim(l, l.policy.critical, l.tuning.critical_threshold));
  if (!l.shadow) lines.push_back(fmt::format("1. provision a shadow of {} and make it follow", l.current.id));
  std::string mirrored, moved;
  for (const auto& segment : l.resource.segments)
    if (may_mirror(segment)) mirrored += (mirrored.empty() ? "" : ", ") + segment.id;
  for (const auto i : shift_order(l.resource)) moved += (moved.empty() ? "" : ", then ") + l.resource.segments[i].id;
  lines.push_back(fmt::format("2. mirror {:.0f} % of {}", l.policy.mirror_fraction * 100, mirrored.empty() ? "nothing" : mirrored));
  lines.push_back(fmt::format("3. move up to {:.0f} % of {}", l.policy.shift_max * 100, moved.empty() ? "nothing" : moved));
  lines.push_back(fmt::format("4. hold all gateways for at most {}, prove the shadow equal, seal",
                              format_duration(l.policy.hold.budget)));
  if (l.resource.traits.fences)
    lines.push_back("5. fence the old primary, check its log, promote (point of no return; on a full volume the fence already is)");
  lines.push_back(fmt::format("{}. switch every gateway to epoch {} (point of no return where data is shared)",
                              l.resource.traits.fences ? 6 : 5, l.epoch + 1));
  lines.push_back(fmt::format("{}. watch the old primary for at most {}, then {}", l.resource.traits.fences ? 7 : 6,
                              format_duration(l.policy.counterfactual_max),
                              l.policy.retirement == Retirement::standby   ? "keep it as standby, or rebuild it if it died"
                              : l.policy.retirement == Retirement::rebuild ? "rebuild it"
                                                                           : "leave it"));
  if (l.resource.traits.fences) lines.push_back(failover_text(state, l));
  for (const auto& u : l.unmovable) lines.push_back(fmt::format("unmovable: {} sessions ({})", u.sessions, u.reason));
  if (const auto refusal = l.shadow ? may_not_hand_over(state, l, state.now) : may_not_shadow(state, l, state.now))
    lines.push_back("in the way: " + refusal->why);
  return lines;
}

}  // namespace foreshadow::decide
