// The status of everything, from whoever still answers: the controller, else the journal's newest state; and each
// gateway for itself. Says how old what it shows is, and who was silent. Comparison of answers: from the gateways.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/place.hpp"
#include "base/result.hpp"

namespace foreshadow::app {

// The schema of api::status_json, with "gateways" filled in, "gateways_silent": [{"gateway", "why"}], and
// "controller": {"alive", "term", "why"}. Error unreachable: neither a controller nor a journal nor a gateway is there.
Result<nlohmann::json> gather_status(const Place& place);

// {"gateways": [what each gateway of the resource says, docs/comparison.md], "gateways_silent": [{"gateway", "why"}]}.
// Errors: unreachable (no gateway is there), and whatever all of those that are there refuse with.
Result<nlohmann::json> gather_differences(const Place& place, const std::string& resource);

}  // namespace foreshadow::app
