// What clients felt at one gate, and what the gate said by itself, by segment. Only counts.
#pragma once

#include <vector>

#include "domain/gateway_report.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::proxy {

// How requests outside every segment show in a report.
inline constexpr const char* kUnmatchedSegment = "(unmatched)";

class GateStats {
 public:
  explicit GateStats(const std::vector<Segment>& segments);

  SegmentStats& of(std::size_t segment) { return segments_.at(segment); }
  void finished(std::size_t segment, Side side, Failure failure, Micros took);
  // A pass that said nothing.
  void vanished(std::size_t segment, Side side);
  void mirrored(std::size_t segment, const MirrorResult& result);
  // A copy that was not made, because the shadow takes none now.
  void paused(std::size_t segment);
  // The shadow was tried again: were those that were not made missed, or would they have failed too?
  void tried(bool ok);
  // Without the unmatched ones, if there were none.
  std::vector<SegmentStats> report() const;

 private:
  SideStats& side_of(std::size_t segment, Side side);
  std::vector<SegmentStats> segments_;    // one each, then the unmatched
  std::vector<std::uint64_t> undecided_;  // paused since the last try, likewise
};

}  // namespace foreshadow::proxy
