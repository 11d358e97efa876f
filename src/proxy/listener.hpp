// One listening socket: accepts clients, as many as may be connected, and gives each to the thread with the fewest. One
// socket for all threads, because the connections that wait in a socket's queue end with it: no other arrangement lets
// another process, with another number of threads, take over without a reset.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <vector>

#include "io/fd.hpp"
#include "proxy/crowd.hpp"
#include "proxy/hall.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::proxy {

// Binds and listens. Errors: invalid (not an address), io (in use, not allowed).
Result<io::Fd> listen_at(const ListenerSettings& settings);

// Lives on the thread of its context, apart from its construction.
class Listener {
 public:
  // `socket` listens already: made by listen_at(), here or in the process before this one. `halls`: one for each thread
  // of the crowd, in order; the first is on our own. They and the crowd outlive it.
  Listener(boost::asio::io_context& context, const ListenerSettings& settings, io::Fd socket, Crowd& crowd,
           std::vector<Hall*> halls);
  void start();
  const ResourceId& resource() const { return settings_.resource; }
  // For the process that comes after this one; -1 once stopped.
  int native() { return acceptor_.is_open() ? acceptor_.native_handle() : -1; }
  // Accepts no more; sessions go on.
  void stop_accepting();
  boost::asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

 private:
  boost::asio::awaitable<void> accept();

  boost::asio::io_context& context_;
  const ListenerSettings& settings_;
  Crowd& crowd_;
  const std::vector<Hall*> halls_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::ip::tcp::endpoint endpoint_;
  bool accepting_ = true;
};

}  // namespace foreshadow::proxy
