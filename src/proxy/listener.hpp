// One listening socket and the sessions that came through it.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <memory>

#include "io/fd.hpp"
#include "proxy/gate.hpp"
#include "proxy/protocol.hpp"
#include "proxy/rest_room.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::proxy {

// Binds and listens. Errors: invalid (not an address), io (in use, not allowed).
Result<io::Fd> listen_at(const ListenerSettings& settings);

// Lives on the gateway's thread, apart from its construction. Gate and protocol outlive it.
class Listener {
 public:
  // `socket` listens already: made by listen_at(), here or in the process before this one.
  Listener(boost::asio::io_context& context, const ListenerSettings& settings, io::Fd socket, Gate& gate,
           Protocol& protocol);
  ~Listener();
  void start();
  // For the process that comes after this one; -1 once stopped.
  int native() { return acceptor_.is_open() ? acceptor_.native_handle() : -1; }
  // Accepts no more; sessions go on.
  void stop_accepting();
  void cancel_sessions();
  // Those whose clients have nothing to say: their sessions begin anew when they do.
  void end_resting() { rest_->close(); }
  // Connected clients, resting or not.
  std::size_t sessions() const { return sessions_.size() + rest_->size(); }
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
  const std::shared_ptr<RestRoom> rest_;
  bool accepting_ = true;
};

}  // namespace foreshadow::proxy
