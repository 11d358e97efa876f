// Waiting for a socket's next edge without a system call for the waiting itself: what edges.hpp is built on.
//
// Boost.Asio watches sockets by edges (epoll(7), EPOLLET), and begins every read by trying one, or every wait by arming
// the edge anew: a system call a request, where the caller has just tried and knows that nothing is there. A read into
// AfterEmptyRead begins without either and ends at the next edge, having read nothing.
//
// Requires: a read that said "nothing there" and the beginning of this wait, on one thread and without returning to
// the event loop between them; an edge that came there is lost otherwise. One wait at a time for each socket.
//
// Asio has no such wait of its own. This specialises a template of its internals, so it is tied to the one version that
// Debian 12 carries; with any other the wait is asio's, right and dearer.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/version.hpp>
#include <utility>

namespace foreshadow::proxy {

inline constexpr bool kWaitsByEdge = BOOST_VERSION == 108100;

// A buffer sequence by type only: nothing is ever put there.
struct AfterEmptyRead {
  using value_type = boost::asio::mutable_buffer;
  const value_type* begin() const { return &nowhere; }
  const value_type* end() const { return &nowhere + 1; }
  // Not empty, or asio would not wait at all.
  static inline char byte = 0;
  value_type nowhere{&byte, 1};
};

}  // namespace foreshadow::proxy

#if BOOST_VERSION == 108100
template <>
class boost::asio::detail::reactive_socket_recv_op_base<foreshadow::proxy::AfterEmptyRead>
    : public boost::asio::detail::reactor_op {
 public:
  reactive_socket_recv_op_base(const boost::system::error_code& success, socket_type, socket_ops::state_type,
                               const foreshadow::proxy::AfterEmptyRead&, socket_base::message_flags, func_type complete)
      : reactor_op(success, &reactive_socket_recv_op_base::do_perform, complete) {}

  // First asked as the wait begins, then at each edge.
  static status do_perform(reactor_op* base) {
    auto& self = *static_cast<reactive_socket_recv_op_base*>(base);
    return std::exchange(self.begun_, true) ? done : not_done;
  }

 private:
  bool begun_ = false;
};
#endif

namespace foreshadow::proxy {

// Calls `handler` with an error code at the next edge: readable, at its end, or broken. operation_aborted: the socket
// was cancelled or closed.
template <class Handler>
void on_next_edge(boost::asio::ip::tcp::socket& socket, Handler handler) {
  if constexpr (kWaitsByEdge)
    socket.async_read_some(AfterEmptyRead{}, std::move(handler));
  else
    socket.async_wait(boost::asio::socket_base::wait_read, std::move(handler));
}

}  // namespace foreshadow::proxy
