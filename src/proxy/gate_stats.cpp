#include "proxy/gate_stats.hpp"

#include <algorithm>

namespace foreshadow::proxy {
namespace {

std::uint64_t in_us(Micros took) { return static_cast<std::uint64_t>(std::max<Micros::rep>(0, took.count())); }

std::uint64_t Failures::* counter_of(Failure failure) {
  switch (failure) {
    case Failure::connect:
      return &Failures::connect;
    case Failure::reset:
      return &Failures::reset;
    case Failure::timeout:
      return &Failures::timeout;
    case Failure::protocol:
      return &Failures::protocol;
    case Failure::status_5xx:
      return &Failures::status_5xx;
    case Failure::client_gone:
      return &Failures::client_gone;
    case Failure::none:
    case Failure::other:
      break;
  }
  return nullptr;
}

}  // namespace

GateStats::GateStats(const std::vector<Segment>& segments) {
  for (const auto& segment : segments) segments_.push_back({.segment = segment.id});
  segments_.push_back({.segment = kUnmatchedSegment});
  undecided_.resize(segments_.size());
}

SideStats& GateStats::side_of(std::size_t segment, Side side) {
  auto& stats = segments_.at(segment);
  return side == Side::current ? stats.current : stats.other;
}

void GateStats::finished(std::size_t segment, Side at, Failure failure, Micros took) {
  auto& side = side_of(segment, at);
  ++side.requests;
  if (failure != Failure::none) {
    if (failure != Failure::client_gone) ++side.errors;
    if (const auto counter = counter_of(failure)) ++(side.failures.*counter);
  }
  side.latency.record(in_us(took));
}

void GateStats::vanished(std::size_t segment, Side at) {
  auto& side = side_of(segment, at);
  ++side.requests;
  ++side.errors;
}

void GateStats::mirrored(std::size_t segment, const MirrorResult& result) {
  auto& mirror = segments_.at(segment).mirror;
  if (result.dropped) {
    ++mirror.dropped;
    return;
  }
  ++mirror.sent;
  if (result.error) ++mirror.errors;
  if (result.mismatched) ++mirror.mismatched;
  mirror.latency.record(in_us(result.took));
}

void GateStats::paused(std::size_t segment) {
  ++segments_.at(segment).mirror.paused;
  ++undecided_.at(segment);
}

void GateStats::tried(bool ok) {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (!ok) segments_[i].mirror.paused_in_vain += undecided_[i];
    undecided_[i] = 0;
  }
}

std::vector<SegmentStats> GateStats::report() const {
  auto report = segments_;
  const auto& unmatched = report.back();
  if (unmatched.current.requests == 0 && unmatched.other.requests == 0 && unmatched.refused == 0) report.pop_back();
  return report;
}

}  // namespace foreshadow::proxy
