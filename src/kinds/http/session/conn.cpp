#include "kinds/http/session/conn.hpp"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {
constexpr std::size_t kFirstBuffer = 32 << 10;
}

Conn::Conn(asio::ip::tcp::socket socket, std::shared_ptr<Watchdog> watchdog)
    : socket_(std::move(socket)), watch_(std::move(watchdog), [this] {
        error_code ignored;
        socket_.cancel(ignored);
      }) {}

Conn::~Conn() {
  if (tls_ && tls_->is_client() && !half_written_ && socket_.is_open()) tls_->end(socket_.native_handle());
}

awaitable<error_code> Conn::readable() {
  if (watch_.expired()) co_return asio::error::timed_out;
  buffer_.reset();
  capacity_ = begin_ = end_ = 0;
  if (tls_) co_return co_await readable_secure();
  const auto [error] = co_await socket_.async_wait(asio::socket_base::wait_read, use_tuple);
  co_return error;
}

void Conn::make_room() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == capacity_) {
    if (begin_ > 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    } else {
      // Grows only for a head: bodies are consumed as they come, so callers' limits on heads bound this.
      const auto wider = capacity_ == 0 ? kFirstBuffer : capacity_ * 2;
      auto fresh = std::make_unique_for_overwrite<char[]>(wider);
      if (end_ > 0) std::memcpy(fresh.get(), buffer_.get(), end_);
      buffer_ = std::move(fresh);
      capacity_ = wider;
    }
    end_ -= begin_;
    begin_ = 0;
  }
}

awaitable<error_code> Conn::fill() {
  if (watch_.expired()) co_return asio::error::timed_out;
  make_room();
  if (tls_) co_return co_await fill_secure();
  const auto [error, n] =
      co_await socket_.async_read_some(asio::buffer(buffer_.get() + end_, capacity_ - end_), use_tuple);
  end_ += n;
  co_return error;
}

void Conn::consume(std::size_t n) { begin_ += n; }

awaitable<Conn::Written> Conn::write(std::array<asio::const_buffer, 3> parts) {
  if (watch_.expired()) co_return Written{asio::error::timed_out, 0};
  if (tls_) co_return co_await write_secure(parts);
  const auto [error, n] = co_await asio::async_write(socket_, parts, use_tuple);
  co_return Written{error, n};
}

awaitable<Conn::Written> Conn::write(std::string_view bytes) {
  return write({asio::buffer(bytes), asio::const_buffer{}, asio::const_buffer{}});
}

bool Conn::quiet() {
  if (begin_ != end_) return false;
  // Session tickets and the like come when they please, and are no answer.
  if (tls_ && tls_->pending()) return tls_->peek(socket_.native_handle()) == Step::want_read;
  char byte = 0;
  const auto n = recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
  return n > 0 && tls_ && tls_->peek(socket_.native_handle()) == Step::want_read;
}

}  // namespace foreshadow::kinds::http
