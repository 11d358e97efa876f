// Which segment moves next, how far, and when: least sensitive first, steps sized to the time that is left.
#pragma once

#include <optional>
#include <vector>

#include "decide/state.hpp"

namespace foreshadow::decide {

// May be served by the shadow before the handover: the data is shared, or old data is declared acceptable.
bool may_shift(const Segment& segment, const KindTraits& traits);
// May be copied to the shadow: reads, and writes that the service itself rolls back.
bool may_mirror(const Segment& segment);

// Indices into resource.segments, least sensitive first: batch before interactive, reads before writes, more tolerated
// staleness before less.
std::vector<std::size_t> shift_order(const Resource& resource);

struct ShiftStep {
  std::size_t segment = 0;
  double weight = 0;
};
// The next step of the ramp, or nothing when all that may move has moved to the policy's maximum.
std::optional<ShiftStep> next_shift(const Lifecycle& l);
// How many steps of the ramp are left.
int shifts_left(const Lifecycle& l);
// How long to look at one step before the next: the time to the limit less what the handover needs, over the steps
// left; between a quarter of a second and ten minutes.
Millis step_time(const Lifecycle& l);

}  // namespace foreshadow::decide
