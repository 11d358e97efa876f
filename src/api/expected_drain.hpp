// How long a handover's hold would have to wait for what is in flight, and whether its budget is likely enough: told
// before anything is held, from how long work has taken so far.
//
// Seen at an arbitrary moment, a piece of work in flight is more likely a long one than a short one. What is left of it
// has the distribution of the equilibrium renewal process (Cox, Renewal Theory, 1962, section 5): with lengths L,
// P(left > t) = E[max(L - t, 0)] / E[L]. A drain is the longest of all that is left.
#pragma once

#include <optional>
#include <vector>

#include "base/time.hpp"
#include "domain/gateway_report.hpp"

namespace foreshadow::api {

struct ExpectedDrain {
  std::uint64_t seen = 0;  // pieces of work that it rests on
  int in_flight = 0;
  double in_time = 0;  // probability that all of them end within the budget
  double p50_ms = 0;
  double p99_ms = 0;
};

// Nothing where no work has been seen yet. Takes the lengths of the current side's work, all segments and gateways
// together; at least one piece is assumed to be in flight.
std::optional<ExpectedDrain> expected_drain(const std::vector<GatewayReport>& reports, Millis budget);

}  // namespace foreshadow::api
