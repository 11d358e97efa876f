#include "decide/guardrails.hpp"

#include <fmt/format.h>

#include <map>

#include "base/units.hpp"
#include "decide/failover.hpp"

namespace foreshadow::decide {
namespace {

std::optional<Refusal> stopped_by_person(const State& state, const Lifecycle& l) {
  if (state.paused) return Refusal{"everything is paused (foreshadow resume)", false, true};
  if (l.paused) return Refusal{fmt::format("paused (foreshadow resume {})", l.resource.id), false, true};
  if (l.bypassed)
    return Refusal{fmt::format("bypassed by {}: clients come past the gateways (foreshadow bypass {} --end)",
                               l.bypassed_by, l.resource.id),
                   false, true};
  return std::nullopt;
}

std::optional<Refusal> stopped_by_person_or_crowd(const State& state, const Lifecycle& l) {
  if (auto refusal = stopped_by_person(state, l)) return refusal;
  if (!state.frozen_why.empty()) return Refusal{"frozen: " + state.frozen_why};
  return std::nullopt;
}

std::optional<Refusal> gateway_is_silent(const Lifecycle& l) {
  constexpr int looks_to_believe = 2;
  // Once it has begun, its holds ask for themselves, before anybody is parked.
  for (const auto& [gateway, looks] : l.gateways_silent)
    if (looks >= looks_to_believe && l.phase != Phase::handing_over)
      return Refusal{
          fmt::format("gateway {0} does not answer, and a hold needs all of them: start it, or take it out with "
                      "`foreshadow remove-gateway {1} {0}`",
                      gateway, l.resource.id)};
  return std::nullopt;
}

std::optional<Refusal> budget_is_spent(const Lifecycle& l) {
  // The one under way has been counted when it began.
  const int spent = static_cast<int>(l.handovers.size()) - (l.phase == Phase::handing_over ? 1 : 0);
  if (spent < l.policy.budget.handovers_per_day) return std::nullopt;
  return Refusal{fmt::format("the budget of {} handovers a day is spent", l.policy.budget.handovers_per_day)};
}

}  // namespace

std::optional<Refusal> may_not_shadow(const State& state, const Lifecycle& l, Time now) {
  if (auto refusal = stopped_by_person_or_crowd(state, l)) return refusal;
  if (l.cooldown_until && now < *l.cooldown_until)
    return Refusal{fmt::format("cooling down for another {}", format_duration(*l.cooldown_until - now)), false, true};
  if (static_cast<int>(l.provisions.size()) >= l.policy.budget.provisions_per_day)
    return Refusal{fmt::format("the budget of {} provisions a day is spent", l.policy.budget.provisions_per_day)};
  if (l.ready_took && l.outlook && l.outlook->time_to_limit && !l.handover_wanted &&
      *l.outlook->time_to_limit < *l.ready_took * 3 / 2)
    return Refusal{fmt::format("too late: the limit is {} away, a shadow takes {} to be ready",
                               format_duration(*l.outlook->time_to_limit), format_duration(*l.ready_took))};
  if (l.handover_wanted || l.approved == Question::shadow || l.approved == Question::handover) return std::nullopt;
  if (l.policy.autonomy == Autonomy::observe)
    return Refusal{"autonomy is observe: this only says what it would do"};
  if (l.policy.autonomy == Autonomy::advise)
    return Refusal{fmt::format("autonomy is advise: approve with `foreshadow approve {}`", l.resource.id), true};
  return std::nullopt;
}

std::optional<Refusal> may_not_hand_over(const State& state, const Lifecycle& l, Time now) {
  (void)now;
  if (auto refusal = stopped_by_person_or_crowd(state, l)) return refusal;
  if (auto refusal = gateway_is_silent(l)) return refusal;
  if (auto refusal = budget_is_spent(l)) return refusal;
  int sessions = 0;
  std::string reasons;
  for (const auto& u : l.unmovable) {
    sessions += u.sessions;
    reasons += fmt::format("{}{} ({})", reasons.empty() ? "" : ", ", u.reason, u.sessions);
  }
  if (sessions > 0) return Refusal{fmt::format("{} sessions cannot be moved: {}", sessions, reasons)};
  if (l.handover_wanted || l.approved == Question::handover) return std::nullopt;
  if (!l.policy.handover_enabled) return Refusal{"handover is switched off in the policy (handover_enabled: false)"};
  if (l.outlook && l.outlook->handover_helps == Helps::no)
    return Refusal{"the shadow suffers under the same work: a handover would only move the problem"};
  if (l.policy.autonomy != Autonomy::act || l.policy.approval_required)
    return Refusal{fmt::format("a person must approve: `foreshadow approve {}`", l.resource.id), true};
  return std::nullopt;
}

std::optional<Refusal> may_not_fail_over(const State& state, const Lifecycle& l, Time now) {
  // Seen to follow so long before the death. What it lacks all the same is assessed after the fence.
  constexpr Millis followed_within{10'000};
  if (auto refusal = stopped_by_person(state, l)) return refusal;
  const auto* to = successor(l);
  if (!to) return Refusal{"there is no shadow that could serve: it must be started again where it is"};
  if (auto refusal = gateway_is_silent(l)) return refusal;
  if (l.failover.wanted) return std::nullopt;
  if (l.phase == Phase::watching)
    return Refusal{to->id + ", which it took over from, is watched for the failure that was foreseen of it"};
  if (!l.policy.failover.enabled) return Refusal{"it is switched off in the policy (failover: enabled: false)"};
  if (l.policy.autonomy != Autonomy::act || l.policy.approval_required) return Refusal{"a person must ask for it"};
  if (!state.frozen_why.empty()) return Refusal{"frozen: " + state.frozen_why};
  if (l.cooldown_until && now < *l.cooldown_until) return Refusal{"the last handover is too short a time ago"};
  if (auto refusal = budget_is_spent(l)) return refusal;
  if (!l.failover.ended_why.empty()) return Refusal{"given up before: " + l.failover.ended_why, false, true};
  if (!l.failover.dead_since) return std::nullopt;
  if (!l.lag_at || *l.failover.dead_since - *l.lag_at > followed_within)
    return Refusal{"nobody has seen " + to->id + " follow it just before"};
  if (now - *l.failover.dead_since < l.policy.failover.restart_grace)
    return Refusal{fmt::format("its own supervisor may start it again within {}", format_duration(l.policy.failover.restart_grace)), false, true};
  // What it rests on is the look of this very moment.
  if (l.failover.dead_seen_at != now) return Refusal{"waiting for another look", false, true};
  return std::nullopt;
}

std::string correlated_badness(const State& state) {
  std::map<std::string, bool> bad_by_domain;
  double share = 1;
  for (const auto& [id, l] : state.resources) {
    const auto& domains = l.current.failure_domains;
    const auto& domain = domains.empty() ? id : domains.front();
    const bool bad = l.outlook && l.outlook->known &&
                     (l.outlook->degraded ||
                      l.outlook->score_within(l.policy.critical.horizon) >= l.tuning.critical_threshold);
    bad_by_domain[domain] = bad_by_domain[domain] || bad;
    share = std::min(share, l.policy.freeze_share);
  }
  constexpr std::size_t domains_min = 3;
  std::size_t bad = 0;
  for (const auto& [domain, is_bad] : bad_by_domain) bad += is_bad ? 1 : 0;
  if (bad_by_domain.size() < domains_min ||
      static_cast<double>(bad) <= share * static_cast<double>(bad_by_domain.size()))
    return "";
  return fmt::format("{} of {} failure domains are bad at once", bad, bad_by_domain.size());
}

void age_budgets(Lifecycle& l, Time now) {
  const auto old = [&](Time t) { return now - t > std::chrono::days{1}; };
  std::erase_if(l.provisions, old);
  std::erase_if(l.handovers, old);
}

}  // namespace foreshadow::decide
