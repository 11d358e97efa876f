// A protocol at its smallest: a line is a unit of work, and the answer names the instance that did it.
//   client: hello        server: ok shop-a hello
// A line that cannot be served is answered "error <why>", and the session goes on.
#pragma once

#include <cstddef>
#include <memory>

#include "kinds/simulated/world.hpp"
#include "proxy/protocol.hpp"

namespace foreshadow::kinds::simulated {

// A longer line, or silence for the listener's idle timeout, ends the session.
std::unique_ptr<proxy::Protocol> make_line_protocol(std::shared_ptr<World> world,
                                                    const proxy::ListenerSettings& settings,
                                                    std::size_t line_bytes_max);

}  // namespace foreshadow::kinds::simulated
