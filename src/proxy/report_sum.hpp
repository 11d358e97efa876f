// What several threads of one gateway report of one resource, as the report of one gateway. Pure.
#pragma once

#include "domain/gateway_report.hpp"

namespace foreshadow::proxy {

// Counts are added. Where the threads differ, as they may while a command is on its way to them or because each watches
// an instance for itself, the sum says what all of them vouch for: the least of holds, the older table, and of an
// instance's circuit what is furthest from closed. Requires: both are of the same resource.
void add_to(GatewayReport& sum, const GatewayReport& one);

}  // namespace foreshadow::proxy
