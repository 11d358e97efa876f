// A connection to an instance, and the ends of connections that never got so far.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"

namespace foreshadow::kinds::tcp {

// Errors: unreachable (nobody listens: nothing was sent), timeout, io (our own lack of ports or descriptors).
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> connect(boost::asio::any_io_executor executor,
                                                                     Endpoint endpoint, Millis timeout);

// The client has reset or closed the connection whole; one that only ended its sending has not.
bool is_gone(boost::asio::ip::tcp::socket& client);
// No client takes a reset for an answer, as some would an orderly end.
void refuse(boost::asio::ip::tcp::socket& client);
// Small messages at once, and a peer whose host vanished is noticed some day however long the idle timeout is.
void tune(boost::asio::ip::tcp::socket& socket);

}  // namespace foreshadow::kinds::tcp
