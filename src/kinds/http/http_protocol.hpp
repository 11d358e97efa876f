// HTTP/1.1 behind the gateway's Protocol port: reverse proxying with keep-alive on both sides, mirroring beside it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/result.hpp"
#include "proxy/protocol.hpp"

namespace foreshadow::kinds::http {

// Error: invalid (segment conditions or options).
Result<std::unique_ptr<proxy::Protocol>> make_protocol(const proxy::ListenerSettings& settings,
                                                       boost::asio::any_io_executor executor);

}  // namespace foreshadow::kinds::http
