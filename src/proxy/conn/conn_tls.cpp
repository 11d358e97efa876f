// The part of a connection that is under TLS: steps of io/tls_stream, and waits between them.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/conn/conn.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {
constexpr std::chrono::seconds kFinish{1};

std::string_view view_of(const asio::const_buffer& part) {
  return {static_cast<const char*>(part.data()), part.size()};
}
}  // namespace

awaitable<error_code> Conn::receive(char* into, std::size_t size) {
  if (watch_.expired()) co_return asio::error::timed_out;
  const auto [error, n] = co_await asio::async_read(socket_, asio::buffer(into, size), use_tuple);
  co_return error;
}

awaitable<Conn::Secured> Conn::secure(std::unique_ptr<io::TlsStream> tls) {
  error_code error;
  socket_.native_non_blocking(true, error);
  if (error) co_return Secured{error, error.message()};
  for (;;) {
    const auto step = tls->handshake(socket_.native_handle());
    if (step == Step::done) break;
    error = co_await settle(step, *tls);
    if (!error) continue;
    const bool late = watch_.expired();
    co_return Secured{error, late ? "the handshake took too long" : tls->why(), tls->was_http()};
  }
  tls_ = std::move(tls);
  co_return Secured{};
}

awaitable<error_code> Conn::wait_beside() {
  in_a_row_ = 0;
  const auto [error] = co_await socket_.async_wait(asio::socket_base::wait_read, use_tuple);
  co_return error;
}

awaitable<error_code> Conn::settle(Step step, const io::TlsStream& tls) {
  switch (step) {
    case Step::done:
      co_return error_code{};
    case Step::closed:
      co_return asio::error::eof;
    case Step::truncated:
      co_return asio::error::connection_reset;
    case Step::failed:
      co_return asio::error::connection_aborted;
    case Step::want_read:
    case Step::want_write:
      break;
  }
  if (watch_.expired()) co_return asio::error::timed_out;
  if (step == Step::want_write) co_return co_await wait_to_write();
  if (tls.found_none()) edges_.dry();
  // A call ends with want_read while there is more to read, when its peer has had its turn: looked at anew.
  if (edges_.pending())
    co_await take_turns();
  else if (co_await wait_to_read() == Edges::Woken::cut)
    co_return cut_short();
  co_return error_code{};
}

io::TlsStream::Step Conn::read_secure(std::size_t& count) {
  // What TLS already holds would never make the descriptor readable.
  if (!may_read()) return Step::want_read;
  make_room();
  const auto step = tls_->read(socket_.native_handle(), buffer_.get() + end_, capacity_ - end_, count);
  if (tls_->found_none() || (tls_->took_all() && edges_.tells_end())) edges_.dry();
  return step;
}

awaitable<error_code> Conn::fill_secure() {
  if (watch_.expired()) co_return asio::error::timed_out;
  for (;;) {
    std::size_t count = 0;
    const auto step = read_secure(count);
    if (step == Step::done) {
      end_ += count;
      if ((in_a_row_ += count) >= kTurn) co_await take_turns();
      co_return error_code{};
    }
    const auto error = co_await settle(step, *tls_);
    if (error) co_return error;
  }
}

awaitable<error_code> Conn::readable_secure() {
  if (watch_.expired()) co_return asio::error::timed_out;
  for (;;) {
    auto step = Step::want_read;
    if (may_read()) step = tls_->peek(socket_.native_handle());
    // Also at the end, however it came: fill() tells.
    if (step != Step::want_read && step != Step::want_write) co_return error_code{};
    const auto error = co_await settle(step, *tls_);
    if (error) co_return error;
  }
}

bool Conn::write_secure_now(const Parts& parts, Written& written) {
  const std::array<std::string_view, 3> views{view_of(parts[0]), view_of(parts[1]), view_of(parts[2])};
  const auto total = views[0].size() + views[1].size() + views[2].size();
  while (written.bytes < total) {
    std::size_t count = 0;
    if (in_a_row_ >= kTurn || tls_->write(socket_.native_handle(), views, written.bytes, count) != Step::done)
      return false;
    written.bytes += count;
    in_a_row_ += count;
  }
  return true;
}

awaitable<Conn::Written> Conn::write_secure(Parts parts, Written written) {
  const std::array<std::string_view, 3> views{view_of(parts[0]), view_of(parts[1]), view_of(parts[2])};
  const auto total = views[0].size() + views[1].size() + views[2].size();
  while (written.bytes < total) {
    std::size_t count = 0;
    const auto step = tls_->write(socket_.native_handle(), views, written.bytes, count);
    written.bytes += count;
    if (step == Step::done) {
      if ((in_a_row_ += count) >= kTurn) co_await take_turns();
    } else if ((written.error = step == Step::want_read ? co_await wait_beside() : co_await settle(step, *tls_))) {
      half_written_ = true;
      break;
    }
  }
  co_return written;
}

awaitable<void> Conn::finish() {
  if (!tls_ || tls_->broken() || half_written_ || !socket_.is_open()) co_return;
  watch_.arm(kFinish);
  auto step = tls_->end(socket_.native_handle());
  while (step == Step::want_write && !co_await settle(step, *tls_)) step = tls_->end(socket_.native_handle());
}

awaitable<void> Conn::end_sending() {
  if (tls_ && !half_written_ && socket_.is_open()) {
    auto step = tls_->end(socket_.native_handle());
    while (step == Step::want_write && !co_await settle(step, *tls_)) step = tls_->end(socket_.native_handle());
  }
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

}  // namespace foreshadow::proxy
