// One entry of `resources:`, with every check that needs nothing but that entry and its kind.
#pragma once

#include "config/config.hpp"
#include "config/fields.hpp"

namespace foreshadow::config {

// What the whole-file checks need to point at.
struct ResourceMarks {
  Mark name, listen, gateways, agent, primary;
};

void read_resource(Fields& fields, ResourceSettings& settings, ResourceMarks& marks);

}  // namespace foreshadow::config
