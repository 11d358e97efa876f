// The story of an action, for people and for machines. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/explain.hpp"
#include "app/terminal.hpp"

namespace foreshadow::app {

std::string story_text(const Story& story, const Terminal& terminal);
nlohmann::json story_json(const Story& story);

// What each guardrail said at a decision, one a line: "handovers today 1 of 4".
std::vector<std::string> guardrails_text(const Decision& decision);

}  // namespace foreshadow::app
