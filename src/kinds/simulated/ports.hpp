// The four ports a kind fills, at their smallest. What each promises is said where the port is declared; here one sees
// the shape of an answer.
#pragma once

#include <memory>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"
#include "kinds/simulated/world.hpp"
#include "observe/source.hpp"

namespace foreshadow::kinds::simulated {

std::unique_ptr<act::Replicator> make_replicator(std::shared_ptr<World> world);
// Its proof is the number of lines.
std::unique_ptr<act::Promoter> make_promoter(std::shared_ptr<World> world);
// Signals: probe_up, simulated_log_lines.
std::unique_ptr<observe::Source> make_source(std::shared_ptr<World> world, InstanceId instance);

}  // namespace foreshadow::kinds::simulated
