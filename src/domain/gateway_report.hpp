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
  std::uint64_t paused = 0;   // not sent, because the shadow takes no work (InstanceStats::circuit)
  std::uint64_t paused_in_vain = 0;  // of those, before a try that failed again: they would have failed, too
  std::uint64_t errors = 0;
  std::uint64_t mismatched = 0;  // answers that differ from the primary's: beyond noise (HTTP), in success or rows (SQL)
  Histogram latency;
  friend bool operator==(const MirrorStats&, const MirrorStats&) = default;
};

// Why the gateway answered by itself, for no side, that nothing was done.
struct Refusals {
  std::uint64_t parked_too_long = 0;  // a hold or a seal outlasted its cap
  std::uint64_t parked_full = 0;      // too much waited for its end already
  std::uint64_t queued_too_long = 0;  // its instance was busy for too long
  std::uint64_t queue_full = 0;       // too much waited for its instance already
  std::uint64_t circuit_open = 0;     // its instance takes no connections
  friend bool operator==(const Refusals&, const Refusals&) = default;
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
  std::uint64_t refused = 0;    // by the gateway itself, and told so
  Refusals refusals;            // why; work whose client left meanwhile, too
  std::uint64_t flowed = 0;     // reads that went on while a hold parked the rest
  std::uint64_t reentered = 0;  // reads that a side would not take any more, and that entered anew
  std::uint64_t diverted = 0;   // the other side's by weight, done by the current one while that takes no work
  InsuranceStats insurance;
  friend bool operator==(const SegmentStats&, const SegmentStats&) = default;
};

// Commits whose answer was lost with their server, and what came of them (docs/in-doubt.md).
struct DoubtStats {
  std::uint64_t waiting = 0;        // now
  std::uint64_t committed = 0;      // found committed, and told so
  std::uint64_t not_committed = 0;  // found not committed, and told so
  std::uint64_t unknown = 0;        // nobody can tell: the client was told that
  friend bool operator==(const DoubtStats&, const DoubtStats&) = default;
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

// Whether an instance is given work: what its circuit breaker says. half_open: a little, to see whether it is well.
enum class CircuitState { closed, open, half_open };

// What a gateway knows of one instance that its table names.
struct InstanceStats {
  InstanceId instance;
  int busy = 0;              // units of work that it has
  int queued = 0;            // that wait for it to have room
  std::uint64_t waited = 0;  // that had to, and then went to it
  Histogram wait;            // how long those did
  CircuitState circuit = CircuitState::closed;
  std::uint64_t opened = 0;  // times that the circuit opened since it is on its side
  std::string why;           // the last time; empty if it never did
  friend bool operator==(const InstanceStats&, const InstanceStats&) = default;
};

// The newest hold of a gateway, as clients felt it: how long each piece of work that it parked waited for leave to go on.
struct HoldWaits {
  std::uint64_t next_epoch = 0;    // that it made room for
  std::uint64_t drained_in_us = 0;  // from its beginning until nothing was in flight; 0: not drained
  Histogram waits;
  friend bool operator==(const HoldWaits&, const HoldWaits&) = default;
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
  std::vector<InstanceStats> instances;   // the current side first, then the other
  std::optional<MirrorPace> mirror_pace;  // not of kinds whose mirror goes as it is told, nor if that is turned off
  std::optional<DoubtStats> doubt;        // of kinds that resolve them
  std::optional<Histogram> work_lengths;  // what a hold waits for, where `latency` is only a part of it
  std::optional<HoldWaits> hold_waits;    // not before the first
  std::uint64_t log_lines_dropped = 0;  // of the access log: not taken by the disk in time
  friend bool operator==(const GatewayReport&, const GatewayReport&) = default;
};

}  // namespace foreshadow
