#include "decide/shadowing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"
#include "decide/canary.hpp"
#include "decide/guardrails.hpp"
#include "decide/handover.hpp"
#include "decide/phases.hpp"
#include "decide/ramp.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

bool crosses(const Lifecycle& l, const ThresholdRule& rule, double threshold) {
  return l.outlook && l.outlook->known && l.outlook->score_within(rule.horizon) >= threshold;
}
bool wants_shadow(const Lifecycle& l) {
  return l.handover_wanted || crosses(l, l.policy.shadowing, l.tuning.shadowing_threshold) ||
         crosses(l, l.policy.critical, l.tuning.critical_threshold);
}
bool wants_handover(const Lifecycle& l) {
  return l.handover_wanted || (l.current_dead && l.resource.traits.shares_data) ||
         crosses(l, l.policy.critical, l.tuning.critical_threshold);
}

// Says why not, and asks a person where that would help; once per question.
void refuse(Context& c, const Refusal& refusal, Question question, const std::string& would) {
  auto& l = c.l;
  l.blocked_why = refusal.why;
  if (refusal.quiet || l.asked == question) return;
  l.asked = question;
  c.page(fmt::format("{}: would {}, but {}. {}", l.resource.id, would, refusal.why,
                     claim(l, question == Question::shadow ? l.policy.shadowing : l.policy.critical,
                           question == Question::shadow ? l.tuning.shadowing_threshold : l.tuning.critical_threshold)));
}

// Calm for long enough.
bool has_receded(Context& c) {
  auto& l = c.l;
  const bool calm =
      !l.handover_wanted && l.outlook && l.outlook->known &&
      l.outlook->score_within(l.policy.shadowing.horizon) < l.tuning.shadowing_threshold - l.policy.hysteresis;
  if (!calm) {
    l.calm_since.reset();
    return false;
  }
  if (!l.calm_since) l.calm_since = c.now;
  return c.now - *l.calm_since >= l.policy.recede_after;
}

// A fault of the shadow found by its canary, or nothing.
std::optional<std::string> unfit(const Lifecycle& l) {
  for (const auto& p : l.segments) {
    if (const auto j = judge(p.mirror, l.policy.canary); j.fitness == Fitness::unfit)
      return fmt::format("the shadow is unfit for {} (mirrored: {})", p.segment, j.why);
    if (const auto j = judge(p.shifted, l.policy.canary); j.fitness == Fitness::unfit)
      return fmt::format("the shadow is unfit for {} (moved: {})", p.segment, j.why);
  }
  return std::nullopt;
}

// True when the handover began, or was refused for a reason that holds the ramp too.
bool try_handover(Context& c) {
  auto& l = c.l;
  if (!wants_handover(l)) return false;
  if (!l.prediction && !l.handover_wanted && l.outlook)
    l.prediction = Prediction{c.now, l.outlook->score_within(l.policy.critical.horizon), l.policy.critical.horizon,
                              claim(l, l.policy.critical, l.tuning.critical_threshold)};
  if (const auto refusal = may_not_hand_over(c.state, l, c.now)) {
    refuse(c, *refusal, Question::handover, "hand over");
    return false;
  }
  l.asked = Question::none;
  begin_handover(c, l.handover_wanted ? std::string("an operator asked for it")
                    : l.current_dead  ? std::string("the current instance is dead by two views")
                                      : claim(l, l.policy.critical, l.tuning.critical_threshold));
  return true;
}

bool withdraw_if_told(Context& c) {
  if (c.l.aborting) {
    withdraw(c, "aborted by a person");
    return true;
  }
  const auto why = unfit(c.l);
  if (!why) return false;
  c.page(c.l.resource.id + ": " + *why);
  withdraw(c, *why);
  return true;
}

// A gateway that does not take its table keeps everything waiting; whoever wants a handover is told why it does not
// begin.
void say_why_not(Context& c) {
  if (!wants_handover(c.l)) return;
  if (const auto refusal = may_not_hand_over(c.state, c.l, c.now)) refuse(c, *refusal, Question::handover, "hand over");
}

// What was moved relieves the primary, and that alone may explain the calm. So the work goes back first; only a primary
// that stays calm under all of it needs no shadow.
void unshift(Context& c) {
  for (auto& p : c.l.segments) {
    p.weight = 0;
    p.stepped_at = c.now;
    p.shifted = {};
  }
  c.l.calm_since.reset();
  c.enter(Phase::mirroring);
  steer_if_changed(c, "calm, perhaps only because of what was moved: all of it back to the primary, to see");
}

}  // namespace

void advance_observing(Context& c) {
  auto& l = c.l;
  if (!l.resource.gateways.empty()) steer_if_changed(c, "the routes again: a gateway had not acknowledged");
  if (!wants_shadow(l)) {
    // A score that wavers around the threshold does not ask again each time.
    if (!crosses(l, l.policy.shadowing, l.tuning.shadowing_threshold - l.policy.hysteresis)) {
      l.asked = Question::none;
      l.blocked_why.clear();
    }
    return;
  }
  if (busy(l)) return;
  if (const auto refusal = may_not_shadow(c.state, l, c.now))
    return refuse(c, *refusal, Question::shadow, "start a shadow");
  l.blocked_why.clear();
  l.asked = Question::none;
  if (l.approved == Question::shadow) l.approved = Question::none;
  l.provisions.push_back(c.now);
  const auto why = l.handover_wanted ? std::string("an operator asked for a handover")
                                     : claim(l, l.policy.shadowing, l.tuning.shadowing_threshold);
  c.enter(Phase::provisioning);
  c.start(Provision{l.current, l.policy.provision_timeout}, why);
}

// A shadow whose lag has not been known for so long may be as stale as it likes.
bool too_stale(const Lifecycle& l, const Segment& segment, Time now) {
  if (l.resource.traits.shares_data || segment.staleness_max == Millis{0}) return false;
  if (l.lag && *l.lag > segment.staleness_max) return true;
  const auto known_at = std::max(l.lag_at.value_or(l.phase_since), l.phase_since);
  return now - known_at > std::max(segment.staleness_max, Millis{3000});
}

void advance_mirroring(Context& c) {
  auto& l = c.l;
  // A gateway that does not acknowledge must not keep an unfit shadow, or a shadow nobody wants, at the others.
  if (withdraw_if_told(c)) return;
  steer_if_changed(c, "mirror to the shadow, which is ready");
  if (!steered(l) || (l.retry_at && c.now < *l.retry_at)) return say_why_not(c);
  if (has_receded(c)) return withdraw(c, "calm again: the shadow is given back");
  if (try_handover(c)) return;
  // Shifting is planned action too: pause and freeze hold it. Below `act` it waits for the same approval as the
  // handover.
  if (c.state.paused || l.paused || !c.state.frozen_why.empty()) return;
  if (l.policy.autonomy != Autonomy::act && l.approved != Question::handover && !l.handover_wanted) return;
  if (!wants_shadow(l)) return;
  const auto step = next_shift(l);
  if (!step) return;
  const auto* progress = progress_of(l, l.resource.segments[step->segment].id);
  if (progress && judge(progress->mirror, l.policy.canary).fitness == Fitness::fit) c.enter(Phase::shifting);
}

void advance_shifting(Context& c) {
  auto& l = c.l;
  if (withdraw_if_told(c)) return;
  steer_if_changed(c, "the routes again: a gateway had not acknowledged");
  if (!steered(l) || (l.retry_at && c.now < *l.retry_at)) return say_why_not(c);
  if (has_receded(c)) return unshift(c);
  if (try_handover(c)) return;
  if (!wants_shadow(l)) return;
  if (c.state.paused || l.paused || !c.state.frozen_why.empty()) return;
  const auto step = next_shift(l);
  if (!step) return;
  const auto& segment = l.resource.segments[step->segment];
  auto* progress = progress_of(l, segment.id);
  if (!progress) return;
  const auto pause = step_time(l);
  const auto looked_for = c.now - std::max(l.phase_since, progress->stepped_at);
  const bool waited = looked_for >= pause || progress->weight == 0;
  const auto& evidence = progress->weight > 0 ? progress->shifted : progress->mirror;
  const auto verdict = judge(evidence, l.policy.canary);
  // A segment with little traffic, or whose few clients all stuck to the old side, would otherwise stop the ramp until
  // it is too late: its mirrored work was found fit, and nothing speaks against it.
  const bool nothing_against =
      verdict.fitness == Fitness::inconclusive && progress->weight > 0 && looked_for >= 2 * pause;
  if (too_stale(l, segment, c.now)) return;
  if (!waited || (verdict.fitness != Fitness::fit && !nothing_against)) return;
  progress->weight = step->weight;
  progress->stepped_at = c.now;
  progress->shifted = {};
  steer_if_changed(c, fmt::format("{} to {:.0f} %: {}; next step in {}", segment.id, step->weight * 100, verdict.why,
                                  format_duration(pause)));
}

void on_provision(Context& c, EffectId id, const EffectDone& done) {
  auto& l = c.l;
  if (done.error || !done.instance) {
    const auto what = done.error ? done.error->what : std::string("the provisioner named no instance");
    if (!l.aborting) c.page(fmt::format("{}: no shadow could be provisioned: {}", l.resource.id, what));
    return withdraw(c, "provisioning failed: " + what);
  }
  l.shadow = done.instance;
  l.ours[l.shadow->id] = provision_key(l.resource.id, id);
  if (l.shadow->id == l.current.id || l.shadow->endpoint == l.current.endpoint) {
    c.page(
        fmt::format("{}: the provisioner returned the primary itself ({}) as its shadow", l.resource.id, l.current.id));
    // Not ours to destroy, whatever it says.
    l.ours.erase(l.shadow->id);
    l.shadow.reset();
    return withdraw(c, "the shadow equals its primary");
  }
  if (l.aborting) return withdraw(c, "aborted by a person");
  c.enter(Phase::replicating);
  c.start(Replicate{l.current, *l.shadow, l.policy.replicate_timeout}, "provisioned: " + done.detail);
}

void on_replicate(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    if (!l.aborting) c.page(fmt::format("{}: the shadow did not become ready: {}", l.resource.id, done.error->what));
    return withdraw(c, "replication failed: " + done.error->what);
  }
  if (l.aborting) return withdraw(c, "aborted by a person");
  if (!l.provisions.empty()) l.ready_took = c.now - l.provisions.back();
  l.segments.clear();
  for (const auto& segment : l.resource.segments) l.segments.push_back({segment.id, 0, c.now, {}, {}});
  c.enter(Phase::mirroring);
}

}  // namespace foreshadow::decide
