// A bypass that was asked for while no controller ran: kept in the state directory, and the first thing that the next
// controller does. Without it an operator who has led the clients away in an emergency would come back to a controller
// that hands over.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "domain/event.hpp"

namespace foreshadow::app {

// Verb::bypass or Verb::end_bypass. The newest replaces those before it. Durable when it returns. Errors: io.
Result<void> leave_bypass(const std::string& state_dir, const ResourceId& resource, const Command& command);
// Nothing: none was left. Errors: io, invalid (what is there is no command).
Result<std::optional<Command>> left_bypass(const std::string& state_dir, const ResourceId& resource);
// Once the journal has it.
void forget_bypass(const std::string& state_dir, const ResourceId& resource);

}  // namespace foreshadow::app
