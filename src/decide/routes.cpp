#include "decide/routes.hpp"

#include "decide/ramp.hpp"

namespace foreshadow::decide {
namespace {

bool same_routes(RouteTable a, const RouteTable& b) {
  a.version = b.version;
  a.term = b.term;
  return a == b;
}

}  // namespace

RouteTable desired_table(const Lifecycle& l) {
  RouteTable table;
  table.resource = l.resource.id;
  table.epoch = l.epoch;
  table.version = l.version;
  table.current = l.current;
  table.facts = l.facts;
  const bool forward = l.shadow && (l.phase == Phase::mirroring || l.phase == Phase::shifting || l.phase == Phase::handing_over);
  const bool reverse = l.phase == Phase::watching && l.old_primary && !l.old_died_at;
  if (forward) table.other = l.shadow;
  if (reverse && l.resource.traits.shares_data) table.other = l.old_primary;
  for (const auto& segment : l.resource.segments) {
    SegmentRoute route{segment.id, 0, 0};
    if (table.other && may_mirror(segment)) route.mirror = forward ? l.policy.mirror_fraction : l.policy.reverse_mirror_fraction;
    if (forward)
      for (const auto& p : l.segments)
        if (p.segment == segment.id) route.other_weight = p.weight;
    table.routes.push_back(route);
  }
  return table;
}

void steer_if_changed(Context& c, const std::string& why) {
  if (is_pending<Steer>(c.l) || (c.l.retry_at && c.now < *c.l.retry_at)) return;
  auto table = desired_table(c.l);
  if (same_routes(table, c.l.table)) return;
  table.version = ++c.l.version;
  table.term = c.state.term;
  c.l.table = table;
  c.start(Steer{table}, why);
}

void steer_again(Context& c, const std::string& why) {
  if (is_pending<Steer>(c.l)) return;
  // What was never sent has no version yet.
  if (c.l.version == 0) c.l.table = {};
  if (c.l.table.resource.empty()) return steer_if_changed(c, why);
  c.l.table.term = c.state.term;
  c.start(Steer{c.l.table}, why);
}

bool steered(const Lifecycle& l) { return !is_pending<Steer>(l) && same_routes(desired_table(l), l.table); }

}  // namespace foreshadow::decide
