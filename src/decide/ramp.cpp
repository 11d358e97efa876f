#include "decide/ramp.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace foreshadow::decide {
namespace {

// Shares of the policy's maximum. A first step small enough to cost little, then doubling.
constexpr std::array<double, 3> rungs{0.2, 0.5, 1.0};

const SegmentProgress* progress_of(const Lifecycle& l, const SegmentId& id) {
  for (const auto& p : l.segments)
    if (p.segment == id) return &p;
  return nullptr;
}

}  // namespace

bool may_shift(const Segment& segment, const KindTraits& traits) {
  return traits.shares_data || (!segment.writes && segment.staleness_max > Millis{0});
}

bool may_mirror(const Segment& segment) { return !segment.writes || segment.honours_mirror_mark; }

std::vector<std::size_t> shift_order(const Resource& resource) {
  std::vector<std::size_t> order(resource.segments.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return !may_shift(resource.segments[i], resource.traits); });
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto& x = resource.segments[a];
    const auto& y = resource.segments[b];
    return std::make_tuple(x.writes, x.latency_sensitivity, -x.staleness_max.count()) <
           std::make_tuple(y.writes, y.latency_sensitivity, -y.staleness_max.count());
  });
  return order;
}

std::optional<ShiftStep> next_shift(const Lifecycle& l) {
  for (const auto i : shift_order(l.resource)) {
    const auto* progress = progress_of(l, l.resource.segments[i].id);
    const double weight = progress ? progress->weight : 0;
    for (const double rung : rungs)
      if (const double target = rung * l.policy.shift_max; target > weight + 1e-9) return ShiftStep{i, target};
  }
  return std::nullopt;
}

int shifts_left(const Lifecycle& l) {
  int left = 0;
  for (const auto i : shift_order(l.resource)) {
    const auto* progress = progress_of(l, l.resource.segments[i].id);
    const double weight = progress ? progress->weight : 0;
    left += static_cast<int>(std::count_if(rungs.begin(), rungs.end(),
                                           [&](double rung) { return rung * l.policy.shift_max > weight + 1e-9; }));
  }
  return left;
}

Millis step_time(const Lifecycle& l) {
  constexpr Millis shortest{250};
  constexpr Millis longest{std::chrono::minutes{10}};
  const int left = shifts_left(l);
  if (left == 0) return longest;
  if (!l.outlook || !l.outlook->time_to_limit) return std::clamp(l.policy.shadowing.horizon / (2 * left), shortest, longest);
  return std::clamp((*l.outlook->time_to_limit - l.policy.critical.horizon) / (left + 1), shortest, longest);
}

}  // namespace foreshadow::decide
