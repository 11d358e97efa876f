#include "decide/evidence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/units.hpp"
#include "decide/phases.hpp"
#include "decide/routes.hpp"
#include "decide/shadowing.hpp"

namespace foreshadow::decide {

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

void on_instance_seen(Context& c, const InstanceSeen& seen) {
  auto& l = c.l;
  if (seen.instance != l.current.id) return;
  const bool fences = l.resource.traits.fences;
  if (!seen.alive) {
    if (fences)
      c.page(fmt::format("{}: {} may be dead: {}. No failover begins while its fence could not be proven",
                         l.resource.id, l.current.id, seen.detail));
    return;
  }
  l.current_dead = !*seen.alive;
  if (!fences) return;
  if (*seen.alive) {
    l.failover.dead_since.reset();
    l.failover.dead_seen_at.reset();
    l.failover.dead_of.clear();
    l.failover.ended_why.clear();
  } else {
    if (!l.failover.dead_since) l.failover.dead_since = c.now;
    l.failover.dead_seen_at = c.now;
    l.failover.dead_of = seen.detail;
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

}  // namespace foreshadow::decide
