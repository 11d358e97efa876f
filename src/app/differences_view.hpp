// How the answers of a shadow differ from its primary's, as tables for people. Pure: JSON in, text out.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/terminal.hpp"

namespace foreshadow::app {

// `differences`: as gather_differences gives them. Never throws.
std::string differences_text(const nlohmann::json& differences, const Terminal& terminal);

}  // namespace foreshadow::app
