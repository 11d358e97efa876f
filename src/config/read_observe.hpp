// The `observe:` map: how often to look, what the score looks at, and where that stops being harmless.
#pragma once

#include "config/config.hpp"
#include "config/fields.hpp"

namespace foreshadow::config {

// `resource` gives the segments that a signal may name and the kind whose signals are known.
void read_observe(Fields& fields, const Resource& resource, ObserveSettings& observe);

// Forecasts need history of their own length and enough points in it: tells horizons that cannot work with `observe`.
void check_horizons(Fields& resource_fields, const Policy& policy, const ObserveSettings& observe);

}  // namespace foreshadow::config
