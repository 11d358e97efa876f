#include "decide/aftermath.hpp"

#include <fmt/format.h>

#include "decide/canary.hpp"
#include "decide/failover.hpp"
#include "decide/lifecycle.hpp"
#include "decide/phases.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

constexpr int rejoin_attempts_max = 3;

void end_watch(Context& c, const std::string& why, bool watched_out = false) {
  c.l.unlabelled = facts_of_watch(c.l, c.now, why);
  c.l.unlabelled->watched_out = watched_out;
  c.enter(Phase::retiring);
  steer_if_changed(c, "the watch has ended: " + why);
}

// It has failed already, and its label was given when it did: there is nothing to watch for.
void end_failover(Context& c) {
  c.l.failover.under_way = false;
  c.enter(Phase::retiring);
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

}  // namespace

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
  c.start(Retire{*l.old_primary, l.current, key_of(l, l.old_primary->id), true},
          alive ? "the policy rebuilds the old primary" : "the old primary has failed: rebuild it");
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

void on_rejoin(Context& c, const EffectDone& done) {
  auto& l = c.l;
  if (l.phase != Phase::watching) return;
  if (!done.error) {
    l.attempts = 0;
    c.enter(HandoverStep::none);
    if (l.failover.under_way) end_failover(c);
    return;
  }
  if (++l.attempts < rejoin_attempts_max && !l.aborting) return c.retry_after(Millis{1000});
  c.page(fmt::format("{}: the old primary {} cannot follow: {}", l.resource.id, l.old_primary->id, done.error->what));
  if (l.failover.under_way) return end_failover(c);
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
  if (l.failover.under_way) return failed_over(c);
  l.handover_ended = c.now;
  l.handover_wanted = false;
  l.approved = Question::none;
  l.current_dead = false;
  l.failover.dead_since.reset();
  l.failover.dead_seen_at.reset();
  l.failover.ended_why.clear();
  l.blocked_why.clear();
  c.enter(Phase::watching);
  // What is counted from here on is the old side's, under the same work.
  for (const auto& segment : l.resource.segments) l.segments.push_back({segment.id, 0, c.now, {}, {}});
  if (!l.resource.traits.fences) return;
  c.enter(HandoverStep::rejoining);
  c.start(Rejoin{*l.old_primary, l.current, l.epoch}, "the old primary becomes a standby and receives the same writes");
}

}  // namespace foreshadow::decide
