// The `policy:` map, and the checks its own values allow.
#pragma once

#include "config/fields.hpp"
#include "domain/policy.hpp"

namespace foreshadow::config {
void read_policy(Fields& fields, Policy& policy);
}
