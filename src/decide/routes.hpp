// The route table that a resource's standing asks for; the gateways are told when it differs from what they were told.
#pragma once

#include "decide/context.hpp"

namespace foreshadow::decide {

RouteTable desired_table(const Lifecycle& l);
// Starts a Steer when the desired table differs from the last commanded one and none is under way.
void steer_if_changed(Context& c, const std::string& why);
// The same table again, for a gateway that came back.
void steer_again(Context& c, const std::string& why);
// In force everywhere: nothing commanded is unanswered.
bool steered(const Lifecycle& l);

}  // namespace foreshadow::decide
