// What `foreshadow status` shows of the state that decisions rest on. The schema is stable: fields are added, never
// renamed; docs/cli.md lists them. Gateways answer for themselves, so their reports are not in here.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "decide/state.hpp"

namespace foreshadow::api {

// {"resources": [...], "gateways": [], "controller": {"alive": true, "term": N}, "frozen_why", "paused", "data_age_ms":
// 0}
nlohmann::json status_json(const decide::State& state, Time now);

// {"resource", "lines": [...], "refused": why or null, "unmovable": [...], "epoch", "drain": {...} or null} of what would
// be done now; `provision` is the provisioner's own plan, or empty; `reports` are the gateways', as far as they answered.
// Error invalid: no such resource.
Result<nlohmann::json> plan_json(const decide::State& state, const ResourceId& resource, const std::string& provision,
                                 const std::vector<GatewayReport>& reports);

}  // namespace foreshadow::api
