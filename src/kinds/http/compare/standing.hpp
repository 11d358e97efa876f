// How the shadow's answers have compared with the primary's of late, segment by segment: whether one of them could
// stand in for the primary's. What is long ago counts for nothing, and a new shadow begins with nothing. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/time.hpp"
#include "domain/resource.hpp"

namespace foreshadow::kinds::http {

struct StandingRule {
  Millis window{300'000};    // how far back is looked
  std::uint64_t pairs = 50;  // at least so many were compared in it,
  double differing = 0.01;   // and no larger a share of them differed
};

// Thread-safe: what one of the gateway's threads finds out holds for all. Asked about failures and about what was
// compared, never in the course of a request that goes well.
class Standing {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // One rule for each segment; pairs of segments beyond them are not counted.
  explicit Standing(std::vector<StandingRule> rules);

  // An answer of this shadow was compared with the primary's; or there was none, where the primary had one: bad.
  void note(std::size_t segment, const InstanceId& shadow, bool good, Time now);
  bool passes(std::size_t segment, const InstanceId& shadow, Time now) const;

 private:
  static constexpr std::int64_t kSlices = 16;  // of a window
  struct Slice {
    std::int64_t at = -1;  // which one since the clock's beginning
    std::uint64_t pairs = 0;
    std::uint64_t differing = 0;
  };
  struct Segment {
    StandingRule rule;
    std::array<Slice, kSlices> slices;
    std::int64_t slice_at(Time now) const;
  };
  mutable std::mutex mutex_;  // of what follows; held for moments only
  InstanceId shadow_;
  std::vector<Segment> segments_;
};

}  // namespace foreshadow::kinds::http
