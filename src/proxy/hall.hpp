// The clients of one listener at one thread: their sessions, and the room where the silent ones rest. Connections come
// from the listener, which may live on another thread.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <memory>

#include "domain/resource.hpp"
#include "io/fd.hpp"
#include "proxy/crowd.hpp"
#include "proxy/gate.hpp"
#include "proxy/protocol.hpp"
#include "proxy/rest_room.hpp"

namespace foreshadow::proxy {

// Lives on the thread of its context, apart from its construction and bring(). Gate, protocol and crowd outlive it.
class Hall {
 public:
  // `thread`: which one of the crowd's it is.
  Hall(boost::asio::io_context& context, ResourceId resource, Gate& gate, Protocol& protocol, Crowd& crowd,
       std::size_t thread);
  ~Hall();
  Hall(const Hall&) = delete;
  Hall& operator=(const Hall&) = delete;

  // Begins the session of a client whom the crowd counts already.
  void welcome(boost::asio::ip::tcp::socket client);
  // The same, from another thread.
  void bring(io::Fd client, boost::asio::ip::tcp protocol);
  // A shutdown has begun: whoever rests is ended, sessions go on.
  void close();
  void cancel_sessions();

 private:
  void serve(boost::asio::ip::tcp::socket client);
  // Tells the crowd who has left.
  void settle();

  boost::asio::io_context& context_;
  const ResourceId resource_;
  Gate& gate_;
  Protocol& protocol_;
  Crowd& crowd_;
  const std::size_t thread_;
  std::size_t counted_ = 0;  // of the crowd, here
  std::list<boost::asio::cancellation_signal> sessions_;
  const std::shared_ptr<RestRoom> rest_;
  bool closed_ = false;
};

}  // namespace foreshadow::proxy
