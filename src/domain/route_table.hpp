// decide -> gateway: where each segment's work goes. Versioned, compare-and-set; an empty table is never a command.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "domain/resource.hpp"

namespace foreshadow {

struct SegmentRoute {
  SegmentId segment;
  double other_weight = 0;  // share of the segment's work served by `other`
  double mirror = 0;        // share of the work served by `current` that is also sent to `other`, answers discarded
  friend bool operator==(const SegmentRoute&, const SegmentRoute&) = default;
};

struct RouteTable {
  ResourceId resource;
  std::uint64_t epoch = 0;    // who may write: moves only at a handover
  std::uint64_t version = 0;  // moves at every change; a gateway refuses a version not above its own within an epoch
  std::uint64_t term = 0;     // which controller incarnation made it; a lower term is refused
  Instance current;
  std::optional<Instance> other;
  std::vector<SegmentRoute> routes;
  // Of the moment at which `epoch` began, when nobody could write: only the controller knows it. Kinds say what they need
  // (for PostgreSQL "xmax": docs/in-doubt.md).
  Facts facts{};
  friend bool operator==(const RouteTable&, const RouteTable&) = default;
};

}  // namespace foreshadow
