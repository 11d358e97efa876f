#include "proxy/admission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace foreshadow::proxy {
namespace {

bool can_be_reached(const Instance& instance) {
  return !instance.id.empty() && !instance.endpoint.host.empty() && instance.endpoint.port != 0;
}

// NaN fails both comparisons.
bool is_share(double value) { return value >= 0 && value <= 1; }

Result<void> well_formed(const RouteTable& proposed, const std::vector<Segment>& segments) {
  if (!can_be_reached(proposed.current))
    return fail(Code::invalid, "an empty table is never a command: 'current' needs an id, a host and a port");
  if (proposed.other) {
    if (!can_be_reached(*proposed.other)) return fail(Code::invalid, "'other' needs an id, a host and a port");
    if (proposed.other->id == proposed.current.id || proposed.other->endpoint == proposed.current.endpoint)
      return fail(Code::invalid, fmt::format("'other' ({}) is the same instance as 'current'", proposed.other->id));
  }
  std::set<SegmentId> seen;
  for (const auto& route : proposed.routes) {
    if (std::ranges::none_of(segments, [&](const Segment& s) { return s.id == route.segment; }))
      return fail(Code::invalid, fmt::format("segment '{}' is not configured at this gateway", route.segment));
    if (!seen.insert(route.segment).second)
      return fail(Code::invalid, fmt::format("segment '{}' has two routes", route.segment));
    if (!is_share(route.other_weight) || !is_share(route.mirror))
      return fail(Code::invalid, fmt::format("segment '{}': weight and mirror must lie in [0, 1]", route.segment));
    if (!proposed.other && (route.other_weight > 0 || route.mirror > 0))
      return fail(Code::invalid, fmt::format("segment '{}' is sent to 'other', but there is none", route.segment));
  }
  return {};
}

bool equal_but_for_term(const RouteTable& a, const RouteTable& b) {
  return a.resource == b.resource && a.epoch == b.epoch && a.version == b.version && a.current == b.current &&
         a.other == b.other && a.routes == b.routes;
}

}  // namespace

Result<Admission> admit(const Standing& standing, const RouteTable& proposed) {
  const auto& now = standing.table;
  FS_CHECK(well_formed(proposed, standing.segments));
  if (proposed.resource != now.resource)
    return fail(Code::invalid, fmt::format("table of '{}' proposed to '{}'", proposed.resource, now.resource));
  if (proposed.term < standing.term)
    return fail(Code::conflict, fmt::format("term {} is over: {} has been here", proposed.term, standing.term));
  if (proposed.epoch < now.epoch)
    return fail(Code::conflict, fmt::format("epoch {} is over: epoch {} is in force", proposed.epoch, now.epoch));
  // Not before the epoch check, and before the version check: repeating what is in force is harmless even when sealed.
  if (equal_but_for_term(now, proposed)) return Admission::same;
  if (standing.sealed_for && proposed.epoch < *standing.sealed_for)
    return fail(Code::conflict,
                fmt::format("sealed for epoch {}: only that epoch or a release can follow, not epoch {}",
                            *standing.sealed_for, proposed.epoch));
  if (proposed.epoch > now.epoch) return Admission::handover;
  if (proposed.version <= now.version)
    return fail(Code::conflict, fmt::format("version {} of epoch {} is not above version {} in force", proposed.version,
                                            proposed.epoch, now.version));
  // Who may write moves only with the epoch: within one, a table may change the split but not the current side.
  if (proposed.current.id != now.current.id)
    return fail(Code::conflict, fmt::format("'{}' cannot become current within epoch {}: '{}' is", proposed.current.id,
                                            now.epoch, now.current.id));
  return Admission::update;
}

}  // namespace foreshadow::proxy
