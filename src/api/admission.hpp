// Whether a command makes sense where its resource stands, so that the person who gave it hears "no" at once instead of
// silence. Advice, not authority: the state may move before the command arrives, and decide judges it again.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.hpp"
#include "domain/event.hpp"

namespace foreshadow::api {

// A note for the person, often empty. Errors: invalid (no such resource, or the verb needs one), refused (why not).
Result<std::string> admit(const nlohmann::json& status, const ResourceId& resource, const Command& command);

}  // namespace foreshadow::api
