// One TCP connection: its socket, the bytes received and not yet used, and its deadline.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string_view>

#include "kinds/http/session/watchdog.hpp"

namespace foreshadow::kinds::http {

using boost::asio::awaitable;
using boost::system::error_code;

// Every wait ends with an error when the watch expires; timed_out() then says so. Results are values, never exceptions,
// but for a cancelled coroutine.
class Conn {
 public:
  Conn(boost::asio::ip::tcp::socket socket, std::shared_ptr<Watchdog> watchdog);

  // Waits until there is something to read (or the end), without holding a buffer meanwhile.
  awaitable<error_code> readable();
  // Reads what is there behind what is unread; the views given out before are void. At the end: asio::error::eof.
  awaitable<error_code> fill();
  std::string_view unread() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t n);

  struct Written {
    error_code error;
    std::size_t bytes = 0;
  };
  // All of them, in order.
  awaitable<Written> write(std::array<boost::asio::const_buffer, 3> parts);
  awaitable<Written> write(std::string_view bytes);

  // Nothing unread, and neither bytes nor the end wait in the kernel: fit for another request.
  bool quiet();
  bool timed_out() const { return watch_.expired(); }
  Watch& watch() { return watch_; }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  boost::asio::ip::tcp::socket socket_;
  Watch watch_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace foreshadow::kinds::http
