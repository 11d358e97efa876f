#include "kinds/http/session/conn.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "kinds/http/session/edge.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {
constexpr std::size_t kFirstBuffer = 32 << 10;

// Small parts are sent as one: copying them costs less than a list of them.
constexpr std::size_t kOneSend = 4096;

using Parts = std::array<asio::const_buffer, 3>;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

std::size_t total_of(const Parts& parts) { return parts[0].size() + parts[1].size() + parts[2].size(); }

// Sends what the socket takes at once, and takes that from the parts. Below zero: errno says why. No coroutine, in
// whose frame the copy would have to live.
ssize_t send_some(int fd, Parts& parts) {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  const auto total = total_of(parts);
  ssize_t n = -1;
  do {
    if (parts[0].size() == total) {
      n = send(fd, parts[0].data(), total, kFlags);
    } else if (total <= kOneSend) {
      std::array<char, kOneSend> one;
      auto* at = one.data();
      for (const auto& part : parts) at = std::copy_n(static_cast<const char*>(part.data()), part.size(), at);
      n = send(fd, one.data(), total, kFlags);
    } else {
      std::array<iovec, 3> list;
      for (std::size_t i = 0; i < parts.size(); ++i) list[i] = {const_cast<void*>(parts[i].data()), parts[i].size()};
      msghdr message{};
      message.msg_iov = list.data();
      message.msg_iovlen = list.size();
      n = sendmsg(fd, &message, kFlags);
    }
  } while (n < 0 && errno == EINTR);
  auto left = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
  for (auto& part : parts) {
    const auto sent = std::min(left, part.size());
    part += sent;
    left -= sent;
  }
  return n;
}
}  // namespace

Conn::Conn(asio::ip::tcp::socket socket, std::shared_ptr<Watchdog> watchdog)
    : socket_(std::move(socket)), watch_(std::move(watchdog), [this] {
        error_code ignored;
        socket_.cancel(ignored);
      }) {}

Conn::~Conn() {
  if (tls_ && tls_->is_client() && !half_written_ && socket_.is_open()) tls_->end(socket_.native_handle());
}

awaitable<error_code> Conn::wait_to_read() {
  in_a_row_ = 0;
  const auto error = co_await next_edge(socket_);
  watch_.next_turn();
  co_return error;
}

awaitable<error_code> Conn::readable() {
  if (watch_.expired()) co_return asio::error::timed_out;
  quiet_at_ = 0;
  if (tls_) {
    release_buffer();
    co_return co_await readable_secure();
  }
  // Into the buffer, if it is still here, rather than looked at and read again.
  char byte = 0;
  const bool into_buffer = capacity_ > 0 && begin_ == end_;
  if (into_buffer) make_room();
  const auto n = into_buffer ? receive_now() : recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0 && into_buffer && (in_a_row_ += static_cast<std::size_t>(n)) >= kTurn) co_await take_turns();
  if (n == 0 && into_buffer) co_return asio::error::eof;
  if (n >= 0) co_return error_code{};
  // Told once: whoever reads after it sees an end like any other (tcp(7), SO_ERROR).
  if (!would_block(errno)) co_return error_code(errno, boost::system::system_category());
  release_buffer();
  co_return co_await wait_to_read();
}

void Conn::release_buffer() {
  buffer_.reset();
  capacity_ = begin_ = end_ = 0;
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

ssize_t Conn::receive_now() {
  for (;;) {
    const auto n = recv(socket_.native_handle(), buffer_.get() + end_, capacity_ - end_, MSG_DONTWAIT);
    if (n > 0) end_ += static_cast<std::size_t>(n);
    if (n >= 0 || errno != EINTR) return n;
  }
}

awaitable<void> Conn::take_turns() {
  in_a_row_ = 0;
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  watch_.next_turn();
}

awaitable<error_code> Conn::fill() {
  if (watch_.expired()) co_return asio::error::timed_out;
  make_room();
  if (tls_) co_return co_await fill_secure();
  bool look = std::exchange(quiet_at_, 0) != watch_.turn();
  for (;;) {
    if (look) {
      const auto n = receive_now();
      if (n == 0) co_return asio::error::eof;
      if (n > 0) {
        if ((in_a_row_ += static_cast<std::size_t>(n)) >= kTurn) co_await take_turns();
        co_return error_code{};
      }
      if (!would_block(errno)) co_return error_code(errno, boost::system::system_category());
    }
    look = true;
    if (const auto error = co_await wait_to_read()) co_return error;
    if (watch_.expired()) co_return asio::error::timed_out;
  }
}

void Conn::consume(std::size_t n) { begin_ += n; }

awaitable<Conn::Written> Conn::write(std::array<asio::const_buffer, 3> parts) {
  if (watch_.expired()) co_return Written{asio::error::timed_out, 0};
  if (tls_) co_return co_await write_secure(parts);
  Written written;
  while (total_of(parts) > 0) {
    const auto n = send_some(socket_.native_handle(), parts);
    if (n >= 0) {
      written.bytes += static_cast<std::size_t>(n);
    } else if (would_block(errno)) {
      if ((written.error = co_await wait_to_write())) break;
    } else {
      written.error = error_code(errno, boost::system::system_category());
      break;
    }
  }
  co_return written;
}

awaitable<error_code> Conn::wait_to_write() {
  in_a_row_ = 0;
  const auto [error] = co_await socket_.async_wait(asio::socket_base::wait_write, use_tuple);
  watch_.next_turn();
  co_return !error && watch_.expired() ? asio::error::timed_out : error;
}

awaitable<Conn::Written> Conn::write(std::string_view bytes) {
  return write({asio::buffer(bytes), asio::const_buffer{}, asio::const_buffer{}});
}

bool Conn::quiet() {
  quiet_at_ = 0;
  if (begin_ != end_) return false;
  // Session tickets and the like come when they please, and are no answer.
  if (tls_ && tls_->pending()) return tls_->peek(socket_.native_handle()) == Step::want_read;
  char byte = 0;
  const auto n = recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && would_block(errno)) {
    quiet_at_ = watch_.turn();
    return true;
  }
  return n > 0 && tls_ && tls_->peek(socket_.native_handle()) == Step::want_read;
}

}  // namespace foreshadow::kinds::http
