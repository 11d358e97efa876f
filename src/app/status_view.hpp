// The status as a table for people. Pure: JSON in, text out.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/terminal.hpp"
#include "base/time.hpp"

namespace foreshadow::app {

// Never throws: what is missing is shown as "-", so that a status of another version can still be read.
std::string status_text(const nlohmann::json& status, Time now, const Terminal& terminal);

// "low", "raised", "high", or "unknown": the score against the thresholds in force.
const char* risk_word(const nlohmann::json& resource);

}  // namespace foreshadow::app
