// Steers our own gateways over their control sockets. All gateways of a resource are asked at the same time; one that
// does not answer fails the call, because a hold with a hole in it holds nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "act/steer/steer.hpp"

namespace foreshadow::act {

struct GatewayAddress {
  std::string name;
  std::string socket_path;
};

struct GatewaySteerSettings {
  std::vector<GatewayAddress> gateways;
  Millis call_timeout{2000};
};

std::unique_ptr<Steer> make_gateway_steer(GatewaySteerSettings settings);

}  // namespace foreshadow::act
