#include "decide/lifecycle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"
#include "decide/canary.hpp"
#include "decide/guardrails.hpp"
#include "decide/handover.hpp"
#include "decide/ramp.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

constexpr int rejoin_attempts_max = 3;
// A gateway that is down is told at once when it is back; in between there is no hurry, and every attempt is journaled.
constexpr Millis steer_pause{500};
constexpr Millis steer_pause_max{5000};
constexpr int steers_to_page = 10;

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

SegmentProgress* progress_of(Lifecycle& l, const SegmentId& id) {
  for (auto& p : l.segments)
    if (p.segment == id) return &p;
  return nullptr;
}

std::string key_of(const Lifecycle& l, const InstanceId& id) {
  const auto it = l.ours.find(id);
  return it == l.ours.end() ? std::string() : it->second;
}

void withdraw(Context& c, const std::string& why) {
  c.l.blocked_why = why;
  c.l.handover_wanted = false;
  c.l.approved = Question::none;
  c.enter(Phase::withdrawing);
  for (auto& p : c.l.segments) p.weight = 0;
}

void settle(Context& c) {
  auto& l = c.l;
  l.shadow.reset();
  l.old_primary.reset();
  l.old_died_at.reset();
  l.old_died_of.clear();
  l.prediction.reset();
  l.segments.clear();
  l.acks.clear();
  l.proof.clear();
  l.lag.reset();
  l.lag_at.reset();
  l.load_ratio = 0;
  l.aborting = l.handover_wanted = l.rolling_back = l.forward_only = l.unpromotable = false;
  l.asked = l.approved = Question::none;
  l.calm_since.reset();
  l.cooldown_until = c.now + l.policy.budget.cooldown;
  c.enter(Phase::observing);
  steer_if_changed(c, "back to one side");
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
  if (const auto refusal = may_not_shadow(c.state, l, c.now)) return refuse(c, *refusal, Question::shadow, "start a shadow");
  l.blocked_why.clear();
  l.asked = Question::none;
  if (l.approved == Question::shadow) l.approved = Question::none;
  l.provisions.push_back(c.now);
  const auto why = l.handover_wanted ? std::string("an operator asked for a handover")
                                     : claim(l, l.policy.shadowing, l.tuning.shadowing_threshold);
  c.enter(Phase::provisioning);
  c.start(Provision{l.current, l.policy.provision_timeout}, why);
}

// Calm for long enough.
bool has_receded(Context& c) {
  auto& l = c.l;
  const bool calm = !l.handover_wanted && l.outlook && l.outlook->known &&
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

// A shadow whose lag has not been known for so long may be as stale as it likes.
bool too_stale(const Lifecycle& l, const Segment& segment, Time now) {
  if (l.resource.traits.shares_data || segment.staleness_max == Millis{0}) return false;
  if (l.lag && *l.lag > segment.staleness_max) return true;
  const auto known_at = std::max(l.lag_at.value_or(l.phase_since), l.phase_since);
  return now - known_at > std::max(segment.staleness_max, Millis{3000});
}

// A gateway that does not take its table keeps everything waiting; whoever wants a handover is told why it does not
// begin.
void say_why_not(Context& c) {
  if (!wants_handover(c.l)) return;
  if (const auto refusal = may_not_hand_over(c.state, c.l, c.now)) refuse(c, *refusal, Question::handover, "hand over");
}

void advance_mirroring(Context& c) {
  auto& l = c.l;
  // A gateway that does not acknowledge must not keep an unfit shadow, or a shadow nobody wants, at the others.
  if (withdraw_if_told(c)) return;
  steer_if_changed(c, "mirror to the shadow, which is ready");
  if (!steered(l) || (l.retry_at && c.now < *l.retry_at)) return say_why_not(c);
  if (has_receded(c)) return withdraw(c, "calm again: the shadow is given back");
  if (try_handover(c)) return;
  // Shifting is planned action too: pause and freeze hold it. Below `act` it waits for the same approval as the handover.
  if (c.state.paused || l.paused || !c.state.frozen_why.empty()) return;
  if (l.policy.autonomy != Autonomy::act && l.approved != Question::handover && !l.handover_wanted) return;
  if (!wants_shadow(l)) return;
  const auto step = next_shift(l);
  if (!step) return;
  const auto* progress = progress_of(l, l.resource.segments[step->segment].id);
  if (progress && judge(progress->mirror, l.policy.canary).fitness == Fitness::fit) c.enter(Phase::shifting);
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
  const bool nothing_against = verdict.fitness == Fitness::inconclusive && progress->weight > 0 && looked_for >= 2 * pause;
  if (too_stale(l, segment, c.now)) return;
  if (!waited || (verdict.fitness != Fitness::fit && !nothing_against)) return;
  progress->weight = step->weight;
  progress->stepped_at = c.now;
  progress->shifted = {};
  steer_if_changed(c, fmt::format("{} to {:.0f} %: {}; next step in {}", segment.id, step->weight * 100, verdict.why,
                                  format_duration(pause)));
}

Outcome facts_of_watch(const Lifecycle& l, Time now, const std::string& why) {
  Outcome facts;
  facts.resource = l.resource.id;
  facts.epoch = l.epoch;
  facts.failed_at = l.old_died_at;
  facts.handover_ended_at = l.handover_ended.value_or(now);
  facts.load_ratio = l.load_ratio;
  facts.why = why;
  if (l.prediction) {
    facts.predicted_at = l.prediction->at;
    facts.score = l.prediction->score;
    facts.horizon = l.prediction->horizon;
  }
  return facts;
}

void end_watch(Context& c, const std::string& why, bool watched_out = false) {
  c.l.unlabelled = facts_of_watch(c.l, c.now, why);
  c.l.unlabelled->watched_out = watched_out;
  c.enter(Phase::retiring);
  steer_if_changed(c, "the watch has ended: " + why);
}

// The old primary, under copies of the work that the new one does, is proven to break an objective that the new one
// keeps: the predicted degradation has come. Where both suffer the work is the cause, and nothing is said of the old
// one. That answers differ is no failure: the new one may have moved on.
std::optional<std::string> broken_under_mirror(const Lifecycle& l) {
  for (const auto& p : l.segments) {
    auto old = p.mirror;
    old.mismatched = 0;
    const auto verdict = judge(old, l.policy.canary);
    if (verdict.fitness == Fitness::unfit && judge(p.shifted, l.policy.canary).fitness == Fitness::fit)
      return fmt::format("{}, mirrored to it: {}", p.segment, verdict.why);
  }
  return std::nullopt;
}

void advance_watching(Context& c) {
  auto& l = c.l;
  if (l.step == HandoverStep::rejoining) {
    if (busy(l) || (l.retry_at && c.now < *l.retry_at)) return;
    c.start(Rejoin{*l.old_primary, l.current, l.epoch}, "try again to make the old primary follow");
    return;
  }
  steer_if_changed(c, "mirror the other way: will the predicted failure come?");
  if (const auto broken = broken_under_mirror(l); broken && !l.old_died_at) {
    l.old_died_at = c.now;
    l.old_died_of = *broken;
  }
  if (l.aborting) return end_watch(c, "the watch was ended by a person");
  if (!l.resource.traits.counterfactual) return end_watch(c, "this kind's old primary cannot be watched");
  if (l.old_died_at) return end_watch(c, "the old primary failed under the mirrored work: " + l.old_died_of);
  if (l.handover_ended && c.now - *l.handover_ended >= l.policy.counterfactual_max)
    return end_watch(c, "watched to the end", true);
}

void advance_retiring(Context& c) {
  auto& l = c.l;
  steer_if_changed(c, "nothing more to the old primary");
  if (l.unlabelled || busy(l) || !steered(l)) return;
  if (!l.old_primary) return settle(c);
  const bool alive = !l.old_died_at;
  if (l.policy.retirement == Retirement::keep || (l.policy.retirement == Retirement::standby && alive)) {
    l.standby = l.old_primary;
    return settle(c);
  }
  c.start(Retire{*l.old_primary, l.current, key_of(l, l.old_primary->id), true}, alive ? "the policy rebuilds the old primary" : "the old primary has failed: rebuild it");
}

void advance_withdrawing(Context& c) {
  auto& l = c.l;
  steer_if_changed(c, l.blocked_why);
  if (busy(l) || !steered(l)) return;
  if (l.shadow && l.ours.contains(l.shadow->id)) {
    c.start(Retire{*l.shadow, l.current, key_of(l, l.shadow->id), false}, l.blocked_why);
    return;
  }
  settle(c);
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
    c.page(fmt::format("{}: the provisioner returned the primary itself ({}) as its shadow", l.resource.id, l.current.id));
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

void on_steer(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (l.phase == Phase::handing_over && l.step == HandoverStep::switching) return on_switch(c, done);
  if (!done.error) {
    l.steers_failed = 0;
    return;
  }
  // Forgetting what was commanded makes it differ from what is wanted, so it goes out again under a new version: the old
  // one may be in force at some gateways and is never used for anything else.
  l.table = {};
  ++l.steers_failed;
  if (l.steers_failed == steers_to_page)
    c.page(fmt::format("{}: a gateway does not take its table: {}", l.resource.id, done.error->what));
  c.retry_after(std::min(steer_pause * (1 << std::min(l.steers_failed - 1, 4)), steer_pause_max));
}

void on_rejoin(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (l.phase != Phase::watching) return;
  if (!done.error) {
    l.attempts = 0;
    c.enter(HandoverStep::none);
    return;
  }
  if (++l.attempts < rejoin_attempts_max && !l.aborting) return c.retry_after(Millis{1000});
  c.page(fmt::format("{}: the old primary {} cannot follow: {}", l.resource.id, l.old_primary->id, done.error->what));
  c.enter(HandoverStep::none);
  end_watch(c, "the old primary could not follow, so nothing can be seen of it: " + done.error->what);
}

void on_retire(Context& c, const Retire& retire, const EffectDone& done) {
  auto& l = c.l;
  if (done.error) {
    c.page(fmt::format("{}: {} could not be {}: {}", l.resource.id, retire.instance.id,
                       retire.rebuild ? "rebuilt" : "given back", done.error->what));
  } else {
    l.ours.erase(retire.instance.id);
    if (retire.rebuild && done.instance) l.standby = done.instance;
  }
  settle(c);
}

}  // namespace

void leave_handover(Context& c) {
  auto& l = c.l;
  const auto why = l.blocked_why;
  if (l.aborting || l.unpromotable) return withdraw(c, why);
  c.enter(Phase::shifting);
  l.handover_wanted = false;
  l.approved = Question::none;
  l.blocked_why = why;
  c.page(fmt::format("{}: the handover was given up, clients stay on {}: {}", l.resource.id, l.current.id, why));
  c.retry_after(std::max(l.policy.hold.retry_after * 4, Millis{2000}));
}

void handed_over(Context& c) {
  auto& l = c.l;
  l.handover_ended = c.now;
  l.handover_wanted = false;
  l.approved = Question::none;
  l.current_dead = false;
  l.blocked_why.clear();
  c.enter(Phase::watching);
  // What is counted from here on is the old side's, under the same work.
  for (const auto& segment : l.resource.segments) l.segments.push_back({segment.id, 0, c.now, {}, {}});
  if (!l.resource.traits.fences) return;
  c.enter(HandoverStep::rejoining);
  c.start(Rejoin{*l.old_primary, l.current, l.epoch}, "the old primary becomes a standby and receives the same writes");
}

void advance(Context& c) {
  // Bounded: each phase is entered at most once per event in practice; the bound guards against a cycle.
  for (int turn = 0; turn < 12; ++turn) {
    const auto phase = c.l.phase;
    const auto step = c.l.step;
    switch (phase) {
      case Phase::observing: advance_observing(c); break;
      case Phase::provisioning:
      case Phase::replicating: break;
      case Phase::mirroring: advance_mirroring(c); break;
      case Phase::shifting: advance_shifting(c); break;
      case Phase::handing_over: advance_handover(c); break;
      case Phase::watching: advance_watching(c); break;
      case Phase::retiring: advance_retiring(c); break;
      case Phase::withdrawing: advance_withdrawing(c); break;
    }
    if (c.l.phase == phase && c.l.step == step) return;
  }
}

void on_outlook(Context& c, const Outlook& outlook) { c.l.outlook = outlook; }

namespace {

// Who answers; and who is another process than before, or lets nothing through although no handover is under way: it is
// told who serves, since it may have missed that.
void note_gateways(Context& c, const std::vector<GatewayAck>& answered, const std::vector<std::string>& closed) {
  auto& l = c.l;
  const auto named = [](const std::string& gateway) {
    return [&gateway](const GatewayAck& ack) { return ack.gateway == gateway; };
  };
  std::map<std::string, int> silent;
  for (const auto& gateway : l.resource.gateways)
    if (std::none_of(answered.begin(), answered.end(), named(gateway)))
      silent[gateway] = l.gateways_silent[gateway] + 1;
  l.gateways_silent = std::move(silent);
  // A handover's own steps tell the gateways what they need; whoever came back meanwhile is told when it is over.
  if (answered.empty() || l.phase == Phase::handing_over || is_pending<Steer>(l)) return;
  bool came_back = false;
  auto seen = l.gateways_seen;
  for (const auto& ack : answered) {
    const auto known = std::find_if(seen.begin(), seen.end(), named(ack.gateway));
    came_back = came_back || (known == seen.end() ? !l.gateways_seen.empty() : known->incarnation != ack.incarnation);
    if (known == seen.end())
      seen.push_back(ack);
    else
      *known = ack;
  }
  l.gateways_seen = std::move(seen);
  if (!came_back && (closed.empty() || (l.retry_at && c.now < *l.retry_at))) return;
  l.retry_at.reset();
  steer_again(c, "a gateway came back, or is new: it is told who serves");
}

}  // namespace

void on_evidence(Context& c, const Evidence& evidence) {
  auto& l = c.l;
  l.unmovable = evidence.unmovable;
  if (evidence.lag) {
    l.lag = evidence.lag;
    l.lag_at = c.now;
  }
  note_gateways(c, evidence.gateways, evidence.closed);
  for (const auto& e : evidence.segments) {
    auto* p = progress_of(l, e.segment);
    if (!p) continue;
    p->mirror.requests += e.mirrored;
    p->mirror.errors += e.mirror_errors;
    p->mirror.slow += e.mirror_slow;
    p->mirror.mismatched += e.mirror_mismatched;
    // Of the new side: before a handover its share of the work, after it all of it.
    const bool serves = l.phase == Phase::watching;
    p->shifted.requests += serves ? e.current_requests : e.other_requests;
    p->shifted.errors += serves ? e.current_errors : e.other_errors;
    p->shifted.slow += serves ? e.current_slow : e.other_slow;
  }
  if (l.phase != Phase::shifting) return;
  for (const auto& segment : l.resource.segments) {
    auto* p = progress_of(l, segment.id);
    if (!p || p->weight == 0 || !too_stale(l, segment, c.now)) continue;
    p->weight = 0;
    p->stepped_at = c.now;
    p->shifted = {};
    steer_if_changed(c, fmt::format("{} back: {}, {} is allowed", segment.id,
                                    l.lag && *l.lag > segment.staleness_max
                                        ? fmt::format("the shadow is {} behind", format_duration(*l.lag))
                                        : std::string("nobody knows how far the shadow is behind"),
                                    format_duration(segment.staleness_max)));
  }
}

void on_counterfactual(Context& c, const CounterfactualSeen& seen) {
  auto& l = c.l;
  if (l.phase != Phase::watching || l.step == HandoverStep::rejoining) return;
  l.load_ratio = seen.load_ratio;
  if (seen.alive == false && !l.old_died_at) {
    l.old_died_at = seen.died_at.value_or(c.now);
    l.old_died_of = seen.detail;
  }
}

namespace {

// What is under way, before the point of no return; what is on its way back already goes on.
void give_up(Context& c) {
  auto& l = c.l;
  if (l.phase == Phase::handing_over) return abort_handover(c);
  if (l.phase == Phase::observing || l.phase == Phase::retiring || l.phase == Phase::withdrawing) return;
  l.aborting = true;
  if (l.phase != Phase::watching) c.cancel_pending();
}

}  // namespace

void on_command(Context& c, const Command& command) {
  auto& l = c.l;
  const auto by = command.actor.empty() ? std::string("somebody") : command.actor;
  switch (command.verb) {
    case Verb::pause: l.paused = true; return;
    case Verb::resume: l.paused = false; return;
    case Verb::bypass:
      if (past_no_return(l)) return c.page(fmt::format("{}: bypass came past the point of no return", l.resource.id));
      l.bypassed = true;
      l.bypassed_by = by;
      return give_up(c);
    case Verb::end_bypass:
      l.bypassed = false;
      l.bypassed_by.clear();
      return;
    case Verb::remove_gateway:
      l.gateways_silent.erase(command.target);
      if (l.phase != Phase::handing_over) l.retry_at.reset();
      return;
    case Verb::approve:
      l.approved = l.asked == Question::none ? Question::handover : l.asked;
      l.asked = Question::none;
      return;
    case Verb::handover:
      if (l.bypassed) return;
      if (l.phase == Phase::observing || l.phase == Phase::mirroring || l.phase == Phase::shifting ||
          l.phase == Phase::provisioning || l.phase == Phase::replicating)
        l.handover_wanted = true;
      return;
    case Verb::rollback:
      // The way back is a handover to the old primary, which is a standby (or shares the data) and still alive.
      if (!l.bypassed && l.phase == Phase::watching && l.step == HandoverStep::none && l.old_primary &&
          !l.old_died_at && steered(l)) {
        l.unlabelled = facts_of_watch(l, c.now, "rolled back by " + by);
        l.shadow = l.old_primary;
        l.old_primary.reset();
        l.handover_wanted = l.rolling_back = true;
        l.prediction.reset();
        l.segments.clear();
        for (const auto& segment : l.resource.segments) l.segments.push_back({segment.id, 0, c.now, {}, {}});
        begin_handover(c, "rollback asked for by " + by);
      }
      return;
    case Verb::failover: return;
    case Verb::abort:
      if (past_no_return(l)) {
        // A promotion that turns out not to have begun can still be given up.
        l.aborting = l.step == HandoverStep::promoting;
        return c.page(fmt::format("{}: abort came past the point of no return", l.resource.id));
      }
      return give_up(c);
  }
}

void on_effect_done(Context& c, const EffectBody& body, EffectId id, const EffectDone& done) {
  if (std::holds_alternative<Provision>(body)) return on_provision(c, id, done);
  if (std::holds_alternative<Replicate>(body)) return on_replicate(c, done);
  if (std::holds_alternative<Steer>(body)) return on_steer(c, done);
  if (std::holds_alternative<Prepare>(body)) return on_prepare(c, done);
  if (std::holds_alternative<Hold>(body)) return on_hold(c, done);
  if (std::holds_alternative<ProveEqual>(body)) return on_prove_equal(c, done);
  if (std::holds_alternative<Seal>(body)) return on_seal(c, done);
  if (std::holds_alternative<Fence>(body)) return on_fence(c, done);
  if (std::holds_alternative<CheckFenced>(body)) return on_check_fenced(c, done);
  if (std::holds_alternative<Promote>(body)) return on_promote(c, done);
  if (std::holds_alternative<Release>(body)) return on_release(c, done);
  if (std::holds_alternative<Revive>(body)) return on_revive(c, done);
  if (std::holds_alternative<Rejoin>(body)) return on_rejoin(c, done);
  if (const auto* retire = std::get_if<Retire>(&body)) return on_retire(c, *retire, done);
}

}  // namespace foreshadow::decide
