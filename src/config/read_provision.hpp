// The `provision:` map: what makes a place for a shadow.
#pragma once

#include "config/config.hpp"
#include "config/fields.hpp"

namespace foreshadow::config {
void read_provision(Fields& fields, ProvisionSettings& provision);
}
