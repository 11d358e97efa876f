// gateway -> observe: what one gateway holds, and what clients felt through it. Counters are cumulative per
// incarnation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/histogram.hpp"
#include "domain/resource.hpp"

namespace foreshadow {

enum class HoldState { open, holding, held, sealed };  // holding: parking new work, old work still in flight

// Why requests failed, where the kind can tell: what SideStats::errors is made of, and clients that went away, who say
// nothing of the side.
struct Failures {
  std::uint64_t connect = 0;      // no connection to the instance
  std::uint64_t reset = 0;        // its connection ended before the answer did
  std::uint64_t timeout = 0;      // it did not answer in time
  std::uint64_t protocol = 0;     // its answer cannot be understood
  std::uint64_t status_5xx = 0;   // it says itself that it failed
  std::uint64_t client_gone = 0;  // not an error of the side
  friend bool operator==(const Failures&, const Failures&) = default;
};

struct SideStats {
  std::uint64_t requests = 0;  // answered or failed
  std::uint64_t errors = 0;    // 5xx, reset, timeout, protocol error; for SQL: connection-level failures
  Failures failures;
  Histogram latency;  // request received whole .. last byte of the answer sent
  friend bool operator==(const SideStats&, const SideStats&) = default;
};

struct MirrorStats {
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;  // queue full or over rate: the mirror never waits
  std::uint64_t errors = 0;
  std::uint64_t mismatched = 0;  // answers that differ from the primary's: beyond noise (HTTP), in success or rows (SQL)
  Histogram latency;
  friend bool operator==(const MirrorStats&, const MirrorStats&) = default;
};

// What a shadow did for clients whose primary failed them (docs/insurance.md). Those failures count as the primary's all
// the same.
struct InsuranceStats {
  std::uint64_t served = 0;     // answers that are the shadow's
  std::uint64_t completed = 0;  // answers that the primary began and the shadow ended
  std::uint64_t failed = 0;     // times that the shadow was asked and could not help
  friend bool operator==(const InsuranceStats&, const InsuranceStats&) = default;
};

struct SegmentStats {
  SegmentId segment;
  SideStats current;
  SideStats other;
  MirrorStats mirror;
  std::uint64_t refused = 0;  // by the gateway itself, for no side: parked too long, or too much parked
  InsuranceStats insurance;
  friend bool operator==(const SegmentStats&, const SegmentStats&) = default;
};

// Sessions that cannot follow a handover, by reason ("named prepared statement", "temporary table").
struct Unmovable {
  std::string reason;
  int sessions = 0;
  friend bool operator==(const Unmovable&, const Unmovable&) = default;
};

// How fast a mirror may go, as it finds out itself by comparing the primary with and without it (docs/mirroring.md).
struct MirrorPace {
  double rate = 1;      // share of the work that is to be mirrored that is, outside the slots of time kept without
  double evidence = 1;  // that it harms the primary; at 100 it is slowed down
  std::uint64_t blocks = 0;       // of time, compared
  std::uint64_t slowed_down = 0;  // times
  std::uint64_t control = 0;      // requests not mirrored so that there is something to compare with
  friend bool operator==(const MirrorPace&, const MirrorPace&) = default;
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
  std::optional<MirrorPace> mirror_pace;  // not of kinds whose mirror goes as it is told, nor if that is turned off
  std::uint64_t log_lines_dropped = 0;  // of the access log: not taken by the disk in time
  friend bool operator==(const GatewayReport&, const GatewayReport&) = default;
};

}  // namespace foreshadow
