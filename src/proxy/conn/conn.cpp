#include "proxy/conn/conn.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "proxy/conn/ends.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {
// Small parts are sent as one: copying them costs less than a list of them.
constexpr std::size_t kOneSend = 4096;

using Parts = Conn::Parts;

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
    : socket_(std::move(socket)), edges_(socket_), watch_(std::move(watchdog), [this] { cancel(); }) {}

Conn::~Conn() {
  if (tls_ && tls_->is_client() && !half_written_ && socket_.is_open()) tls_->end(socket_.native_handle());
}

void Conn::cancel() {
  edges_.cut();
  error_code ignored;
  socket_.cancel(ignored);
}

void Conn::close() {
  edges_.cut();
  error_code ignored;
  socket_.close(ignored);
}

awaitable<Edges::Woken> Conn::wait_to_read() {
  in_a_row_ = 0;
  release_buffer();
  return edges_.next();
}

error_code Conn::cut_short() const {
  return watch_.expired() ? asio::error::timed_out : asio::error::operation_aborted;
}

bool Conn::look(error_code& error) {
  char byte = 0;
  const auto n = recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n >= 0) return true;
  if (would_block(errno)) {
    edges_.dry();
    return false;
  }
  // Told once: whoever reads after it sees an end like any other (tcp(7), SO_ERROR).
  error = error_code(errno, boost::system::system_category());
  return true;
}

awaitable<std::optional<char>> Conn::peek() {
  while (!watch_.expired()) {
    char byte = 0;
    const auto n = edges_.pending() ? recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) : -1;
    if (n > 0) co_return byte;
    if (edges_.pending()) {
      if (n == 0 || !would_block(errno)) co_return std::nullopt;
      edges_.dry();
    }
    if (co_await wait_to_read() == Edges::Woken::cut) co_return std::nullopt;
  }
  co_return std::nullopt;
}

awaitable<error_code> Conn::readable() {
  // Read, rather than looked at and read again.
  if (begin_ == end_) return fill();
  return tls_ ? readable_secure() : readable_beyond();
}

awaitable<error_code> Conn::readable_beyond() {
  error_code error;
  while (!watch_.expired()) {
    if (edges_.pending() && look(error)) co_return error;
    if (co_await wait_to_read() == Edges::Woken::cut) co_return cut_short();
  }
  co_return asio::error::timed_out;
}

void Conn::release_buffer() {
  if (begin_ != end_ || !buffer_) return;
  if (capacity_ == Buffers::bytes) watch_.buffers().give(std::move(buffer_));
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
      const auto wider = capacity_ == 0 ? Buffers::bytes : capacity_ * 2;
      auto fresh = capacity_ == 0 ? watch_.buffers().take() : std::make_unique_for_overwrite<char[]>(wider);
      if (end_ > 0) std::memcpy(fresh.get(), buffer_.get(), end_);
      buffer_ = std::move(fresh);
      capacity_ = wider;
    }
    end_ -= begin_;
    begin_ = 0;
  }
}

bool Conn::receive_now(error_code& error) {
  make_room();
  const auto room = capacity_ - end_;
  ssize_t n = 0;
  do n = recv(socket_.native_handle(), buffer_.get() + end_, room, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto bytes = static_cast<std::size_t>(n);
    end_ += bytes;
    in_a_row_ += bytes;
    if (bytes < room && edges_.tells_end()) edges_.dry();
    return true;
  }
  if (n < 0 && would_block(errno)) {
    edges_.dry();
    return false;
  }
  error = n == 0 ? error_code(asio::error::eof) : error_code(errno, boost::system::system_category());
  return true;
}

awaitable<void> Conn::take_turns() {
  in_a_row_ = 0;
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

bool Conn::fill_now(error_code& error) {
  if (watch_.expired()) {
    error = asio::error::timed_out;
    return true;
  }
  if (in_a_row_ >= kTurn) return false;
  if (!tls_) return edges_.pending() && receive_now(error);
  std::size_t count = 0;
  // Anything but bytes is told by fill().
  if (read_secure(count) != Step::done) return false;
  end_ += count;
  in_a_row_ += count;
  return true;
}

awaitable<error_code> Conn::fill() { return tls_ ? fill_secure() : fill_plain(); }

awaitable<error_code> Conn::fill_plain() {
  if (watch_.expired()) co_return asio::error::timed_out;
  if (in_a_row_ >= kTurn) co_await take_turns();
  error_code error;
  // Looked at after every wait: a watch that has expired ends none that begins afterwards.
  while (!watch_.expired()) {
    if (edges_.pending() && receive_now(error)) co_return error;
    if (co_await wait_to_read() == Edges::Woken::cut) co_return cut_short();
  }
  co_return asio::error::timed_out;
}

void Conn::consume(std::size_t n) { begin_ += n; }

bool Conn::write_now(Parts& parts, Written& written) {
  if (watch_.expired()) {
    written.error = asio::error::timed_out;
    return true;
  }
  if (tls_) return write_secure_now(parts, written);
  while (total_of(parts) > 0) {
    const auto n = send_some(socket_.native_handle(), parts);
    if (n >= 0) {
      written.bytes += static_cast<std::size_t>(n);
    } else if (would_block(errno)) {
      return false;
    } else {
      written.error = error_code(errno, boost::system::system_category());
      break;
    }
  }
  return true;
}

awaitable<Conn::Written> Conn::write_on(Parts parts, Written written) {
  if (tls_) co_return co_await write_secure(parts, written);
  do written.error = co_await wait_to_write();
  while (!written.error && !write_now(parts, written));
  co_return written;
}

awaitable<Conn::Written> Conn::write(Parts parts) {
  Written written;
  if (write_now(parts, written)) co_return written;
  co_return co_await write_on(parts, written);
}

awaitable<error_code> Conn::wait_to_write() {
  in_a_row_ = 0;
  const auto [error] = co_await socket_.async_wait(asio::socket_base::wait_write, use_tuple);
  co_return !error && watch_.expired() ? asio::error::timed_out : error;
}

awaitable<Conn::Written> Conn::write(std::string_view bytes) {
  return write({asio::buffer(bytes), asio::const_buffer{}, asio::const_buffer{}});
}

bool Conn::quiet() {
  if (begin_ != end_ || (tls_ && tls_->owes())) return false;
  // Session tickets and the like come when they please, and are no answer.
  if (tls_ && tls_->pending()) return tls_->peek(socket_.native_handle()) == Step::want_read;
  char byte = 0;
  const auto n = recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && would_block(errno)) {
    edges_.dry();
    return true;
  }
  return n > 0 && tls_ && tls_->peek(socket_.native_handle()) == Step::want_read;
}

asio::ip::tcp::socket adopt(const asio::any_io_executor& executor, int fd, error_code& error) {
  asio::ip::tcp::socket socket(executor);
  socket.assign(asio::ip::tcp::v4(), fd, error);
  if (error) ::close(fd);
  return socket;
}

}  // namespace foreshadow::proxy
