// Steers our own gateways over their control sockets. All gateways of a resource are asked at the same time; one that
// does not answer fails the call, because a hold with a hole in it holds nothing.
//
// The exception is one that an operator took out of the path: it is down, and its own state file keeps it from serving
// before it has been told who serves. It counts as held and sealed, and is told when it is back. Whether that is so is
// read from the file at every call, so that nobody's memory of it can be wrong.
#pragma once

#include <functional>
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
  // Asked only of a gateway that nobody listens for. Empty: none is ever out.
  std::function<bool(const std::string& gateway, const ResourceId&)> is_out;
  Millis call_timeout{2000};
};

std::unique_ptr<Steer> make_gateway_steer(GatewaySteerSettings settings);

}  // namespace foreshadow::act
