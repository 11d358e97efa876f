// `listener`'s limits of what one instance is given: how much at a time, and when nothing.
#pragma once

#include "config/fields.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::config {

void read_limits(Fields& listener, proxy::InstanceLimits& limits);

}  // namespace foreshadow::config
