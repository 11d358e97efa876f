#include "observe/gateway_source.hpp"

#include <algorithm>
#include <utility>

#include "domain/absent.hpp"

namespace foreshadow::observe {
namespace {

// A cumulative counter's growth; one that went back began again from zero.
std::uint64_t grown(std::uint64_t now, std::uint64_t before) { return now >= before ? now - before : now; }

const SegmentStats* find_segment(const GatewayReport& report, const SegmentId& segment) {
  const auto it = std::ranges::find(report.segments, segment, &SegmentStats::segment);
  return it == report.segments.end() ? nullptr : &*it;
}

const GatewayReport* find_gateway(const std::vector<GatewayReport>& reports, const std::string& gateway) {
  const auto it = std::ranges::find(reports, gateway, &GatewayReport::gateway);
  return it == reports.end() ? nullptr : &*it;
}

// The counters that `now`'s segment is to be compared with: its own earlier ones, or zeros when the gateway or the
// segment is new since then.
SegmentStats baseline(const GatewayReport& now, const GatewayReport& before, const SegmentId& segment) {
  if (now.incarnation != before.incarnation) return {};
  const auto* found = find_segment(before, segment);
  return found ? *found : SegmentStats{};
}

std::string with_segment(const char* signal, const SegmentId& segment) {
  if (segment.empty()) return signal;
  return std::string(signal) + "{segment=\"" + segment + "\"}";
}

class GatewaySource : public Source {
 public:
  GatewaySource(std::string name, FetchReports fetch, std::function<Sides()> sides, Clock& clock,
                GatewayStatisticsSettings settings)
      : name_(std::move(name)),
        fetch_(std::move(fetch)),
        sides_(std::move(sides)),
        clock_(clock),
        statistics_(settings) {}

  std::string name() const override { return name_; }

  Result<std::vector<Reading>> scrape(std::stop_token stop) override {
    // Asked before and after: reports of a moment in which the sides changed belong to neither.
    const auto before = sides_();
    FS_TRY(reports, fetch_(stop));
    const auto after = sides_();
    if (before != after) return std::vector<Reading>{};
    return statistics_.update(reports, after, clock_.now());
  }

 private:
  std::string name_;
  FetchReports fetch_;
  std::function<Sides()> sides_;
  Clock& clock_;
  GatewayStatistics statistics_;
};

}  // namespace

void GatewayStatistics::Counts::add(const Counts& o) {
  requests += o.requests;
  errors += o.errors;
  latency.merge(o.latency);
}

GatewayStatistics::Counts GatewayStatistics::since(const SideStats& now, const SideStats& before) {
  return {grown(now.requests, before.requests), grown(now.errors, before.errors), now.latency.since(before.latency)};
}

std::vector<Reading> GatewayStatistics::update(const std::vector<GatewayReport>& reports, const Sides& sides, Time at) {
  const bool same_sides = sides_ && *sides_ == sides;
  if (!same_sides) intervals_.clear();
  std::map<std::string, GatewayReport> now;
  for (const auto& report : reports) now.insert_or_assign(report.gateway, report);

  if (same_sides && at_ && at > *at_) {
    Interval interval{.from = *at_, .to = at, .complete = true, .current = {}, .other = {}};
    interval.current[""];
    if (sides.other) interval.other[""];
    for (const auto& [name, before] : previous_)
      if (!now.contains(name)) interval.complete = false;
    bool attributable = true;
    for (const auto& [name, report] : now) {
      const auto before = previous_.find(name);
      if (before == previous_.end()) continue;
      if (before->second.epoch != report.epoch) {
        attributable = false;
        break;
      }
      for (const auto& segment : report.segments) {
        const auto base = baseline(report, before->second, segment.segment);
        const auto current = since(segment.current, base.current);
        auto other = since(segment.other, base.other);
        other.add({grown(segment.mirror.sent, base.mirror.sent), grown(segment.mirror.errors, base.mirror.errors),
                   segment.mirror.latency.since(base.mirror.latency)});
        for (const auto& key : {SegmentId{}, segment.segment}) {
          interval.current[key].add(current);
          if (sides.other) interval.other[key].add(other);
          if (segment.segment.empty()) break;
        }
      }
    }
    if (!attributable)
      intervals_.clear();
    else
      intervals_.push_back(std::move(interval));
  }
  previous_ = std::move(now);
  sides_ = sides;
  at_ = at;
  while (intervals_.size() > 1 && at - intervals_.front().from > settings_.span) intervals_.pop_front();

  std::vector<Reading> out;
  if (intervals_.empty() || intervals_.back().to != at) return out;
  emit(out, sides.current, &Interval::current);
  if (sides.other) emit(out, *sides.other, &Interval::other);
  return out;
}

void GatewayStatistics::emit(std::vector<Reading>& out, const InstanceId& instance,
                             std::map<SegmentId, Counts> Interval::* side) const {
  struct Sum {
    Counts counts;
    double seconds = 0;
    bool complete = true;
  };
  std::map<SegmentId, Sum> sums;
  for (const auto& interval : intervals_)
    for (const auto& [segment, counts] : interval.*side) sums[segment].counts.add(counts);
  for (auto& [segment, sum] : sums)
    for (const auto& interval : intervals_) {
      sum.seconds += to_seconds(interval.to - interval.from);
      sum.complete = sum.complete && interval.complete;
    }
  for (const auto& [segment, sum] : sums) {
    const auto requests = sum.counts.requests;
    const auto put = [&](const char* signal, std::optional<double> value) {
      out.push_back({instance, with_segment(signal, segment), value});
    };
    if (sum.complete && sum.seconds > 0)
      put("request_rate", static_cast<double>(requests) / sum.seconds);
    else
      put("request_rate", std::nullopt);
    if (requests < settings_.requests_min) continue;
    put("request_error_ratio", std::min(1.0, static_cast<double>(sum.counts.errors) / static_cast<double>(requests)));
    if (sum.counts.latency.total() < settings_.requests_min) continue;
    put("request_p50_seconds", sum.counts.latency.quantile_us(0.50) / 1e6);
    put("request_p99_seconds", sum.counts.latency.quantile_us(0.99) / 1e6);
  }
}

std::unique_ptr<Source> gateway_source(std::string name, FetchReports fetch, std::function<Sides()> sides, Clock& clock,
                                       GatewayStatisticsSettings settings) {
  return std::make_unique<GatewaySource>(std::move(name), std::move(fetch), std::move(sides), clock, settings);
}

namespace {

bool nobody_waits(const GatewayReport& report) { return report.hold == HoldState::open && report.parked == 0; }

// A hold that is over, and that was not told of at the look before.
bool is_news(const GatewayReport& now, const GatewayReport* before) {
  if (!now.hold_waits || !nobody_waits(now)) return false;
  return !before || before->incarnation != now.incarnation || !nobody_waits(*before) ||
         before->hold_waits != now.hold_waits;
}

}  // namespace

Evidence evidence_between(const std::vector<GatewayReport>& previous, const std::vector<GatewayReport>& current,
                          const CanaryPolicy& policy) {
  Evidence evidence;
  const double slow_us = static_cast<double>(policy.slow_after.count()) * 1000.0;
  std::map<SegmentId, SegmentEvidence> segments;
  std::map<std::string, int> unmovable;
  for (const auto& report : current) {
    evidence.gateways.push_back({report.gateway, report.incarnation});
    if (report.hold == HoldState::sealed && report.incarnation != kOutOfPath) evidence.closed.push_back(report.gateway);
    if (is_news(report, find_gateway(previous, report.gateway)))
      evidence.holds.push_back({report.gateway, *report.hold_waits});
    for (const auto& u : report.unmovable) unmovable[u.reason] += u.sessions;
    const auto* before = find_gateway(previous, report.gateway);
    const bool comparable = before && before->epoch == report.epoch;
    for (const auto& now : report.segments) {
      auto& sum = segments[now.segment];
      sum.segment = now.segment;
      if (!comparable) continue;
      const auto base = baseline(report, *before, now.segment);
      sum.current_requests += grown(now.current.requests, base.current.requests);
      sum.current_errors += grown(now.current.errors, base.current.errors);
      sum.current_slow += now.current.latency.since(base.current.latency).above_us(slow_us);
      sum.other_requests += grown(now.other.requests, base.other.requests);
      sum.other_errors += grown(now.other.errors, base.other.errors);
      sum.other_slow += now.other.latency.since(base.other.latency).above_us(slow_us);
      // Copies that were not made because the shadow fails time and again count as what they would have been: a shadow
      // that is left alone must not look like one that nobody asked.
      const auto in_vain = grown(now.mirror.paused_in_vain, base.mirror.paused_in_vain);
      sum.mirrored += grown(now.mirror.sent, base.mirror.sent) + in_vain;
      sum.mirror_errors += grown(now.mirror.errors, base.mirror.errors) + in_vain;
      sum.mirror_slow += now.mirror.latency.since(base.mirror.latency).above_us(slow_us);
      sum.mirror_mismatched += grown(now.mirror.mismatched, base.mirror.mismatched);
      sum.mirror_dropped += grown(now.mirror.dropped, base.mirror.dropped);
    }
  }
  for (auto& [id, sum] : segments) evidence.segments.push_back(std::move(sum));
  for (const auto& [reason, sessions] : unmovable) evidence.unmovable.push_back({reason, sessions});
  return evidence;
}

}  // namespace foreshadow::observe
