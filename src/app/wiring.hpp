// From configuration to ports, by hand: which driver does what for which resource.
#pragma once

#include <memory>
#include <vector>

#include "act/steer/steer.hpp"
#include "config/config.hpp"
#include "engine/workers.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::app {

const kinds::Kind* find_kind(const std::vector<const kinds::Kind*>& kinds, const std::string& name);
std::unique_ptr<act::Steer> make_steer(const config::Config& config, const config::ResourceSettings& resource);
std::unique_ptr<act::Provisioner> make_provisioner(const config::Config& config, const config::ResourceSettings& resource);
engine::Ports make_ports(const config::Config& config, const config::ResourceSettings& resource, const kinds::Kind& kind);

}  // namespace foreshadow::app
