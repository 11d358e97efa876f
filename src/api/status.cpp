#include "api/status.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "api/expected_drain.hpp"
#include "base/units.hpp"
#include "decide/failover.hpp"
#include "decide/guardrails.hpp"
#include "decide/step.hpp"
#include "domain/json.hpp"

namespace foreshadow::api {
namespace {

using nlohmann::json;

json pending_json(const decide::Lifecycle& l) {
  auto list = json::array();
  for (const auto& p : l.pending)
    list.push_back({{"id", p.effect.id},
                    {"effect", name_of(p.effect.body)},
                    {"since_ms", to_ms(p.since)},
                    {"why", p.effect.why},
                    {"fraction", p.fraction},
                    {"detail", p.detail},
                    {"cancelled", p.cancelled}});
  return list;
}

// The earliest moment at which something that is waited for is over, if it is known.
std::optional<Time> blocked_until(const decide::Lifecycle& l, Time now) {
  std::optional<Time> until;
  for (const auto& candidate : {l.cooldown_until, l.retry_at})
    if (candidate && *candidate > now && (!until || *candidate > *until)) until = candidate;
  return until;
}

const char* name_of_question(decide::Question question) {
  switch (question) {
    case decide::Question::none:
      return "none";
    case decide::Question::shadow:
      return "shadow";
    case decide::Question::handover:
      return "handover";
  }
  return "none";
}

json resource_json(const decide::State& state, const decide::Lifecycle& l, Time now) {
  const auto until = blocked_until(l, now);
  const auto* successor = decide::successor(l);
  json j = {{"name", l.resource.id},
            {"kind", l.resource.kind},
            {"phase", l.phase},
            {"phase_since_ms", to_ms(l.phase_since)},
            {"step", l.step},
            {"epoch", l.epoch},
            {"autonomy", l.policy.autonomy},
            {"paused", l.paused || state.paused},
            {"frozen", !state.frozen_why.empty()},
            {"bypassed", l.bypassed},
            {"bypassed_by", l.bypassed_by},
            {"current", l.current},
            {"outlook", l.outlook},
            {"table", l.table.current.id.empty() ? json(nullptr) : json(l.table)},
            {"shadow", l.shadow},
            {"old_primary", l.old_primary},
            {"old_died_at_ms", l.old_died_at ? json(to_ms(*l.old_died_at)) : json(nullptr)},
            {"standby", l.standby},
            {"lag_ms", l.lag ? json(l.lag->count()) : json(nullptr)},
            {"unmovable", l.unmovable},
            {"last_outcome", l.outcomes.empty() ? json(nullptr) : json(l.outcomes.back())},
            {"tuning", l.tuning},
            {"thresholds",
             {{"shadowing", {{"threshold", l.tuning.shadowing_threshold}, {"horizon_ms", l.policy.shadowing.horizon}}},
              {"critical", {{"threshold", l.tuning.critical_threshold}, {"horizon_ms", l.policy.critical.horizon}}}}},
            {"failover",
             {{"possible", l.resource.traits.fences},
              {"to", successor ? json(successor->id) : json(nullptr)},
              {"dead_of", l.failover.dead_since ? json(l.failover.dead_of) : json(nullptr)},
              {"under_way", l.failover.under_way}}},
            {"asked", name_of_question(l.asked)},
            {"approved", name_of_question(l.approved)},
            {"handover_wanted", l.handover_wanted},
            {"past_no_return", decide::past_no_return(l)},
            {"blocked_until_ms", until ? json(to_ms(*until)) : json(nullptr)},
            {"blocked_why", l.blocked_why},
            {"pending", pending_json(l)}};
  return j;
}

}  // namespace

json status_json(const decide::State& state, Time now) {
  auto resources = json::array();
  for (const auto& [id, lifecycle] : state.resources) resources.push_back(resource_json(state, lifecycle, now));
  return {{"resources", std::move(resources)},
          {"gateways", json::array()},
          {"controller", {{"alive", true}, {"term", state.term}}},
          {"paused", state.paused},
          {"frozen_why", state.frozen_why},
          {"at_ms", to_ms(now)},
          {"data_age_ms", 0}};
}

namespace {

std::string drain_text(const ExpectedDrain& drain, Millis budget) {
  return fmt::format("expected drain: p50 {:.1f} ms, p99 {:.1f} ms; within the budget of {} with probability {:.3f} ({} in "
                     "flight now, lengths of {} pieces of work)",
                     drain.p50_ms, drain.p99_ms, format_duration(budget), drain.in_time, drain.in_flight, drain.seen);
}

json drain_json(const ExpectedDrain& drain) {
  return {{"p50_ms", drain.p50_ms},
          {"p99_ms", drain.p99_ms},
          {"in_time", drain.in_time},
          {"in_flight", drain.in_flight},
          {"seen", drain.seen}};
}

}  // namespace

Result<json> plan_json(const decide::State& state, const ResourceId& resource, const std::string& provision,
                       const std::vector<GatewayReport>& reports) {
  const auto found = state.resources.find(resource);
  if (found == state.resources.end()) return fail(Code::invalid, fmt::format("no resource named '{}'", resource));
  const auto& l = found->second;
  const auto refusal =
      l.shadow ? decide::may_not_hand_over(state, l, state.now) : decide::may_not_shadow(state, l, state.now);
  auto lines = decide::explain_now(state, resource);
  const auto drain = expected_drain(reports, l.policy.hold.budget);
  if (drain) lines.push_back(drain_text(*drain, l.policy.hold.budget));
  return json{{"resource", resource},
              {"phase", l.phase},
              {"epoch", l.epoch},
              {"lines", lines},
              {"drain", drain ? drain_json(*drain) : json(nullptr)},
              {"refused", refusal ? json(refusal->why) : json(nullptr)},
              {"approval_lifts", refusal && refusal->approval_lifts},
              {"unmovable", l.unmovable},
              {"provision", provision}};
}

}  // namespace foreshadow::api
