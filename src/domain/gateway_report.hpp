// gateway -> observe: what one gateway holds, and what clients felt through it. Counters are cumulative per incarnation.
#pragma once

#include <string>
#include <vector>

#include "domain/histogram.hpp"
#include "domain/resource.hpp"

namespace foreshadow {

enum class HoldState { open, holding, held, sealed };  // holding: parking new work, old work still in flight

struct SideStats {
  std::uint64_t requests = 0;  // answered or failed
  std::uint64_t errors = 0;    // 5xx, reset, timeout, protocol error; for SQL: connection-level failures
  Histogram latency;           // request received whole .. last byte of the answer sent
  friend bool operator==(const SideStats&, const SideStats&) = default;
};

struct MirrorStats {
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;     // queue full or over rate: the mirror never waits
  std::uint64_t errors = 0;
  std::uint64_t mismatched = 0;  // answers that differ from the primary's: beyond noise (HTTP), in success or rows (SQL)
  Histogram latency;
  friend bool operator==(const MirrorStats&, const MirrorStats&) = default;
};

struct SegmentStats {
  SegmentId segment;
  SideStats current;
  SideStats other;
  MirrorStats mirror;
  friend bool operator==(const SegmentStats&, const SegmentStats&) = default;
};

// Sessions that cannot follow a handover, by reason ("named prepared statement", "temporary table").
struct Unmovable {
  std::string reason;
  int sessions = 0;
  friend bool operator==(const Unmovable&, const Unmovable&) = default;
};

struct GatewayReport {
  std::string gateway;
  ResourceId resource;
  std::string incarnation;  // new at every start of the gateway process
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  HoldState hold = HoldState::open;
  int sessions = 0;
  int in_flight = 0;
  int parked = 0;
  std::vector<Unmovable> unmovable;
  std::vector<SegmentStats> segments;
  friend bool operator==(const GatewayReport&, const GatewayReport&) = default;
};

}  // namespace foreshadow
