// The PostgreSQL side of a gateway: frontend/backend protocol 3, passed through, held and moved at transaction
// boundaries, in the plain or under TLS on either side. Options it reads from its listener: `password_file` (see
// credentials.hpp) and those of tls_options.hpp. Its `idle_timeout` is not used: an idle database session is normal and
// stays.
//
// Not offered yet: transaction pooling.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/result.hpp"
#include "proxy/protocol.hpp"

namespace foreshadow::kinds {

// Lives on `executor`, which must not run handlers in parallel. Requires: the gates given to serve() outlive the
// protocol. Errors: as tls_options.hpp and io/tls_files.
Result<std::unique_ptr<proxy::Protocol>> make_postgres_protocol(const proxy::ListenerSettings& settings,
                                                                boost::asio::any_io_executor executor);

}  // namespace foreshadow::kinds
