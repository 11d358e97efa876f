// Plain streams behind the gateway's Protocol port: each client's connection is one unit of work, and is joined to one
// of the instance that the gate gives. What cannot be done is told by a reset, and then nothing was sent to anybody.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/result.hpp"
#include "proxy/protocol.hpp"

namespace foreshadow::kinds::tcp {

// Error: invalid (options).
Result<std::unique_ptr<proxy::Protocol>> make_protocol(const proxy::ListenerSettings& settings,
                                                       boost::asio::any_io_executor executor);

}  // namespace foreshadow::kinds::tcp
