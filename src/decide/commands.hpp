// What a person asks for.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

void on_command(Context& c, const Command& command);

}  // namespace foreshadow::decide
