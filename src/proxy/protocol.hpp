// The port a kind implements to carry its clients' sessions.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "proxy/gate.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::proxy {

class RestRoom;

// Everything a session needs; outlives it. Lives on one thread; a gateway of several has one for each.
class Protocol {
 public:
  virtual ~Protocol() = default;
  // The same for another of the gateway's threads, called before the first client: together they keep the limits of
  // one, and what one of them finds out the others know as well where a client could tell. Null: this kind is served by
  // one thread. Destroyed before any of their loops is.
  virtual Result<std::unique_ptr<Protocol>> another(boost::asio::any_io_executor) { return nullptr; }
  // Serves one client connection to its end. Never throws. At the end of a shutdown it is cancelled (asio's terminal
  // cancellation) and must then end soon.
  virtual boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, Gate& gate) = 0;
  // Adds what only it knows to a report, which is summed up over the threads; on its thread.
  virtual void describe(GatewayReport&) const {}
  // Sessions may end here while their client has nothing to say, if they have no state: serve() is called again when it
  // has. Called once, before the first client.
  virtual void rest_in(std::shared_ptr<RestRoom>) {}
  // Another process takes the new clients: end each session at the next point where its client expects that it may end,
  // and none before. stop() follows.
  virtual void retire() {}
  // The gateway stops: end idle sessions now, busy ones after their unit of work. Whoever is left is cancelled later.
  virtual void stop() {}
  // Of a mirror that finds out by itself how fast it may go. On the gateway's thread.
  virtual std::optional<MirrorPace> mirror_pace() const { return std::nullopt; }
  // How the shadow's answers differ from the primary's, in the kind's own fields. Any thread. Error: refused (the kind
  // does not compare, or was told not to).
  virtual Result<nlohmann::json> differences() const;
};

}  // namespace foreshadow::proxy
