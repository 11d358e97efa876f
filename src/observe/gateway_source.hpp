// What clients felt, from the gateways' cumulative counters: rates, error ratios and latency quantiles of each side
// over the last moments, for all work and per segment; and the paired counts that decide judges a canary on. It reads
// reports through a callable, so it knows nothing of how they travel.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "domain/event.hpp"
#include "domain/gateway_report.hpp"
#include "domain/policy.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

// Who the two sides of a route table are; a report itself does not name them.
struct Sides {
  InstanceId current;
  std::optional<InstanceId> other;
  friend bool operator==(const Sides&, const Sides&) = default;
};

struct GatewayStatisticsSettings {
  // Ratios and quantiles are over this much of the past: one scrape alone holds too few requests for a p99.
  Millis span{2000};
  // Fewer requests than this within the span: ratios and quantiles are unknown, the rate is still told.
  std::uint64_t requests_min = 20;
};

// Turns successive reports into readings. Pure apart from what it remembers; not thread-safe.
// An interval counts only where it can be attributed: not across a change of epoch or of sides. A new incarnation of a
// gateway counts from zero. A gateway that answered before and does not now makes request_rate unknown for that
// interval.
class GatewayStatistics {
 public:
  explicit GatewayStatistics(GatewayStatisticsSettings settings = {}) : settings_(settings) {}
  // Signals per side: request_rate (1/s), request_error_ratio, request_p50_seconds, request_p99_seconds, and the same
  // with {segment="..."}. The other side's work is what it serves plus what is mirrored to it.
  std::vector<Reading> update(const std::vector<GatewayReport>& reports, const Sides& sides, Time at);

 private:
  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    Histogram latency;
    void add(const Counts& o);
  };
  struct Interval {
    Time from;
    Time to;
    bool complete = true;                 // every gateway answered
    std::map<SegmentId, Counts> current;  // the empty segment is all work
    std::map<SegmentId, Counts> other;
  };
  static Counts since(const SideStats& now, const SideStats& before);
  void emit(std::vector<Reading>& out, const InstanceId& instance, std::map<SegmentId, Counts> Interval::* side) const;

  GatewayStatisticsSettings settings_;
  std::map<std::string, GatewayReport> previous_;
  std::optional<Sides> sides_;
  std::optional<Time> at_;
  std::deque<Interval> intervals_;
};

using FetchReports = std::function<Result<std::vector<GatewayReport>>(std::stop_token)>;

// A source over GatewayStatistics. `fetch` and `sides` are called from the source's thread, `clock` outlives it.
std::unique_ptr<Source> gateway_source(std::string name, FetchReports fetch, std::function<Sides()> sides, Clock& clock,
                                       GatewayStatisticsSettings settings = {});

// Counts since `previous`, per segment, merged over the gateways. A gateway without a previous report, or whose epoch
// moved, adds none (its counters' past belongs to nobody); one with a new incarnation adds all it has. Every gateway in
// `current` is named in `gateways`. `lag` is left to the caller.
Evidence evidence_between(const std::vector<GatewayReport>& previous, const std::vector<GatewayReport>& current,
                          const CanaryPolicy& policy);

}  // namespace foreshadow::observe
