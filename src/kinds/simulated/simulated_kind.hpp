// The smallest complete kind, and the one to copy for a new kind: World stands where the real instances will be,
// ports.cpp and line_protocol.cpp where their drivers will be, and this file is the bundle. What a real kind must add
// is an agent (see kinds/postgres) wherever an act has to happen on the instance's own host.
#pragma once

#include <memory>

#include "kinds/kind.hpp"
#include "kinds/simulated/world.hpp"

namespace foreshadow::kinds {

// All that the kind hands out acts on `world`, which lives in this process: gateway and controller must share it.
std::unique_ptr<Kind> make_simulated_kind(
    std::shared_ptr<simulated::World> world = std::make_shared<simulated::World>());

}  // namespace foreshadow::kinds
