#include "decide/lifecycle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "decide/aftermath.hpp"
#include "decide/failover.hpp"
#include "decide/handover.hpp"
#include "decide/phases.hpp"
#include "decide/routes.hpp"
#include "decide/shadowing.hpp"

namespace foreshadow::decide {
namespace {

// A gateway that is down is told at once when it is back; in between there is no hurry, and every attempt is journaled.
constexpr Millis steer_pause{500};
constexpr Millis steer_pause_max{5000};
constexpr int steers_to_page = 10;

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

// The switch is the same for all.
bool fails_over(const Lifecycle& l) {
  return l.failover.under_way && l.phase == Phase::handing_over && l.step != HandoverStep::switching;
}

}  // namespace

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
  l.aborting = l.handover_wanted = l.rolling_back = l.forward_only = l.unpromotable = l.failover.under_way = false;
  l.asked = l.approved = Question::none;
  l.calm_since.reset();
  l.cooldown_until = c.now + l.policy.budget.cooldown;
  c.enter(Phase::observing);
  steer_if_changed(c, "back to one side");
}

void advance(Context& c) {
  // Bounded: each phase is entered at most once per event in practice; the bound guards against a cycle.
  for (int turn = 0; turn < 12; ++turn) {
    const auto phase = c.l.phase;
    const auto step = c.l.step;
    if (consider_failover(c)) {
      if (c.l.phase == phase) return;
      continue;
    }
    switch (phase) {
      case Phase::observing: advance_observing(c); break;
      case Phase::provisioning:
      case Phase::replicating: break;
      case Phase::mirroring: advance_mirroring(c); break;
      case Phase::shifting: advance_shifting(c); break;
      case Phase::handing_over:
        if (fails_over(c.l)) advance_failover(c);
        else advance_handover(c);
        break;
      case Phase::watching: advance_watching(c); break;
      case Phase::retiring: advance_retiring(c); break;
      case Phase::withdrawing: advance_withdrawing(c); break;
    }
    if (c.l.phase == phase && c.l.step == step) return;
  }
}

void on_effect_done(Context& c, const EffectBody& body, EffectId id, const EffectDone& done) {
  if (std::holds_alternative<Provision>(body)) return on_provision(c, id, done);
  if (std::holds_alternative<Replicate>(body)) return on_replicate(c, done);
  if (std::holds_alternative<Steer>(body)) return on_steer(c, done);
  if (fails_over(c.l)) return on_failover_done(c, body, done);
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
