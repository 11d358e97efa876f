// Connections to servers: TCP, or Unix where the endpoint's host is a directory; under TLS where the options say so.
// TLS is asked for anew with each connection (SSLRequest, one round trip) and never given up for the plain once a
// server has said yes. Over a Unix socket there is none, as with libpq: the kernel vouches for who listens there.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/gateway/tls_options.hpp"
#include "proxy/conn/conn.hpp"
#include "proxy/conn/credentials.hpp"

namespace foreshadow::kinds::pg_gateway {

// Shared by sessions, cancel requests and mirrors, which may end after the protocol. On the gateway's one thread.
class Dialer {
 public:
  // `files`: with a client, unless `mode` is off. `server_name`: as in TlsOptions.
  Dialer(boost::asio::any_io_executor executor, std::shared_ptr<proxy::Watchdog> watchdog, UpstreamTls mode,
         std::string server_name, std::shared_ptr<proxy::Credentials> files);

  // Errors, none of the client's bytes having been sent: unreachable, timeout (they may pass by themselves); refused
  // (no TLS there, or not one that the options accept), invalid (not PostgreSQL, or no name to check).
  boost::asio::awaitable<Result<std::unique_ptr<proxy::Conn>>> dial(Instance at, Millis within);

  const boost::asio::any_io_executor executor;

 private:
  boost::asio::awaitable<Result<void>> secure(proxy::Conn& conn, const Instance& at);
  tl::unexpected<Error> complain(const Instance& at, std::string what);

  const std::shared_ptr<proxy::Watchdog> watchdog_;
  const UpstreamTls mode_;
  const std::string server_name_;
  const std::shared_ptr<proxy::Credentials> files_;
  std::map<InstanceId, std::string> told_;  // to the log, last
};

}  // namespace foreshadow::kinds::pg_gateway
