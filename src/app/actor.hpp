// Who gives a command, for the journal: user@host.
#pragma once

#include <string>

namespace foreshadow::app {

std::string actor();

}  // namespace foreshadow::app
