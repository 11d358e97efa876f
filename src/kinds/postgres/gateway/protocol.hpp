// The PostgreSQL side of a gateway: frontend/backend protocol 3, passed through, held and moved at transaction
// boundaries. Options it reads from its listener: `password_file` (see credentials.hpp). Its `idle_timeout` is not
// used: an idle database session is normal and stays.
//
// Not offered yet: TLS (a client's request for it is answered with "no"), transaction pooling.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "proxy/protocol.hpp"

namespace foreshadow::kinds {

// Lives on `executor`, which must not run handlers in parallel. Requires: the gates given to serve() outlive the
// protocol.
std::unique_ptr<proxy::Protocol> make_postgres_protocol(const proxy::ListenerSettings& settings,
                                                        boost::asio::any_io_executor executor);

}  // namespace foreshadow::kinds
