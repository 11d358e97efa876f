#include "kinds/http/h2client/link.hpp"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace foreshadow::kinds::http::h2client {

namespace asio = boost::asio;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {

// Frames are gathered up to this before they are written: as much as a socket takes at once.
constexpr std::size_t kWriteBytes = 64 << 10;
// Nobody's idle connection is worth more; and a retired instance must not be kept from stopping by ours.
constexpr Millis kIdleMax{30'000};

bool something_waits(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace

Link::Link(std::unique_ptr<Conn> conn, std::shared_ptr<Watchdog> watchdog, const Settings& settings,
           std::size_t head_bytes_max, Millis write_timeout, std::function<void()> changed)
    : mux(settings, head_bytes_max, Steady::now()),
      conn_(std::move(conn)),
      settings_(settings),
      write_timeout_(write_timeout),
      changed_(std::move(changed)),
      patience_(std::move(watchdog), [this] { lose_patience(); }),
      to_write_(conn_->socket().get_executor(), Steady::time_point::max()),
      greeted_(conn_->socket().get_executor(), Steady::time_point::max()) {}

awaitable<Result<void>> Link::greet(Millis timeout) {
  asio::co_spawn(conn_->socket().get_executor(), read(shared_from_this()), asio::detached);
  asio::co_spawn(conn_->socket().get_executor(), write(shared_from_this()), asio::detached);
  greeted_.expires_after(timeout);
  if (!mux.greeted() && !dead_) co_await greeted_.async_wait(use_tuple);
  if (mux.greeted() && !dead_) {
    set_patience();
    co_return Result<void>{};
  }
  if (dead_) co_return fail(Code::unreachable, spoke_ ? "what it speaks is not HTTP/2" : "it closed the connection");
  die();
  co_return fail(Code::timeout, "it accepted the connection, but did not begin to speak HTTP/2 in time");
}

awaitable<void> Link::read(std::shared_ptr<Link> self) {
  auto& conn = *self->conn_;
  for (;;) {
    // Nobody's buffer is kept while nothing is at work.
    if (self->calls_ == 0 && co_await conn.readable()) break;
    // Waiting may have read it already.
    if (self->dead_ || (conn.unread().empty() && co_await conn.fill())) break;
    self->receive();
    // A word of farewell may have to be said first.
    if (self->dead_ || (self->mux.violation() && self->mux.done())) break;
  }
  self->die();
}

void Link::receive() {
  const auto bytes = conn_->unread();
  const bool was_greeted = mux.greeted();
  mux.receive(bytes, Steady::now());
  conn_->consume(bytes.size());
  heard_at_ = Steady::now();
  spoke_ = true;
  if (mux.greeted() && !was_greeted) greeted_.cancel();
  // Its limit may have been raised, or it may be leaving.
  changed_();
  write_soon();
  set_patience();
}

awaitable<void> Link::write(std::shared_ptr<Link> self) {
  auto& conn = *self->conn_;
  while (!self->dead_) {
    self->out_.clear();
    self->mux.pull(self->out_, kWriteBytes);
    if (!self->out_.empty()) {
      // An instance that takes nothing for so long serves nobody any more.
      conn.watch().arm(self->write_timeout_);
      const auto sent = co_await conn.write(self->out_);
      self->written_ += sent.bytes;
      if (sent.error) break;
      conn.watch().disarm();
      continue;
    }
    if (self->mux.done() || self->mux.violation()) break;
    self->out_ = {};
    co_await self->to_write_.async_wait(use_tuple);
  }
  self->die();
}

bool Link::is_unsettled() { return calls_ == 0 && something_waits(conn_->socket().native_handle()); }

void Link::enter() {
  // Who begins more says nothing of whether anybody listens.
  if (calls_++ == 0) set_patience();
}

void Link::leave() noexcept {
  served_ = true;
  if (--calls_ == 0) set_patience();
  write_soon();
  changed_();
}

void Link::set_patience() {
  if (dead_) return;
  if (calls_ > 0)
    patience_.arm(mux.awaits_ping() ? settings_.ping_timeout : settings_.ping_interval);
  else if (mux.leaving())
    patience_.arm(Millis{0});
  else
    patience_.arm(kIdleMax);
}

void Link::lose_patience() {
  if (calls_ == 0) {
    // What is to be said is said at once, or not at all: nobody waits for an answer.
    mux.go_away();
    return out_.empty() ? write_soon() : die();
  }
  if (mux.awaits_ping()) return die();
  mux.ping();
  write_soon();
  set_patience();
}

void Link::doubt(Steady::time_point since) {
  if (heard_at_ < since) retire();
}

void Link::retire() {
  mux.go_away();
  write_soon();
  changed_();
}

void Link::die() {
  if (dead_) return;
  dead_ = true;
  patience_.disarm();
  if (mux.violation()) log::debug("a connection to an instance was ended: {}", mux.violation());
  mux.abandon(written_);
  conn_->cancel();
  error_code ignored;
  // Those who still read an answer that is here whole keep the object, and nobody the connection.
  if (calls_ > 0) conn_->socket().shutdown(asio::socket_base::shutdown_both, ignored);
  // Also what is about to wait is stopped by this, at the latest with the watchdog's next look.
  conn_->watch().arm(Millis{0});
  to_write_.cancel();
  greeted_.cancel();
  changed_();
}

}  // namespace foreshadow::kinds::http::h2client
