#include "kinds/http/compare/standing.hpp"

#include <algorithm>

namespace foreshadow::kinds::http {

Standing::Standing(std::vector<StandingRule> rules) {
  segments_.reserve(rules.size());
  for (const auto& rule : rules) segments_.push_back({.rule = rule, .slices = {}});
}

std::int64_t Standing::Segment::slice_at(Time now) const {
  const auto length = std::max<std::int64_t>(1, rule.window.count() / kSlices);
  return std::chrono::duration_cast<Millis>(now.time_since_epoch()).count() / length;
}

void Standing::note(std::size_t at, const InstanceId& shadow, bool good, Time now) {
  const std::lock_guard lock(mutex_);
  if (at >= segments_.size()) return;
  if (shadow != shadow_) {
    shadow_ = shadow;
    for (auto& segment : segments_) segment.slices = {};
  }
  auto& segment = segments_[at];
  const auto current = segment.slice_at(now);
  auto& slice = segment.slices[static_cast<std::size_t>(current % kSlices)];
  if (slice.at != current) slice = {.at = current};
  ++slice.pairs;
  if (!good) ++slice.differing;
}

bool Standing::passes(std::size_t at, const InstanceId& shadow, Time now) const {
  const std::lock_guard lock(mutex_);
  if (at >= segments_.size() || shadow != shadow_) return false;
  const auto& segment = segments_[at];
  const auto current = segment.slice_at(now);
  std::uint64_t pairs = 0, differing = 0;
  for (const auto& slice : segment.slices) {
    if (slice.at < 0 || current - slice.at >= kSlices) continue;
    pairs += slice.pairs;
    differing += slice.differing;
  }
  return pairs > 0 && pairs >= segment.rule.pairs &&
         static_cast<double>(differing) <= segment.rule.differing * static_cast<double>(pairs);
}

}  // namespace foreshadow::kinds::http
