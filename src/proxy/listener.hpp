// One listening socket and the sessions that came through it.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <memory>

#include "proxy/gate.hpp"
#include "proxy/protocol.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::proxy {

// Lives on the gateway's thread, apart from open(). Gate and protocol outlive it.
class Listener {
 public:
  Listener(boost::asio::io_context& context, const ListenerSettings& settings, Gate& gate, Protocol& protocol);
  // Binds and listens. Errors: invalid (not an address), io (in use, not allowed).
  Result<void> open();
  void start();
  // Accepts no more; sessions go on.
  void stop_accepting();
  void cancel_sessions();
  std::size_t sessions() const { return sessions_.size(); }
  boost::asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

 private:
  boost::asio::awaitable<void> accept();
  void serve(boost::asio::ip::tcp::socket client);

  boost::asio::io_context& context_;
  const ListenerSettings& settings_;
  Gate& gate_;
  Protocol& protocol_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::ip::tcp::endpoint endpoint_;
  std::list<boost::asio::cancellation_signal> sessions_;
  bool accepting_ = true;
};

}  // namespace foreshadow::proxy
