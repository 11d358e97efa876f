#include "kinds/http/h2/session.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/log.hpp"
#include "kinds/http/h2/link.hpp"
#include "kinds/http/h2/workers.hpp"

namespace foreshadow::kinds::http::h2 {

namespace asio = boost::asio;
using Steady = Watch::Steady;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {

// Frames are gathered up to this before they are written: as much as a socket takes at once.
constexpr std::size_t kWriteBytes = 64 << 10;
// A client that makes us queue more control frames than this and does not read them is not read itself.
constexpr std::size_t kQueuedMax = 1024;
constexpr Millis kLinger{1000};
constexpr std::size_t kLingerBytesMax = 256 << 10;
constexpr Millis kLookAtLeft{250};

class Session final : private Link, private Workers::Told {
 public:
  Session(std::shared_ptr<Core> core, Conn& client, proxy::Gate& gate, Arrival& arrival)
      : Link(*core, gate, arrival),
        core_(std::move(core)),
        client_(client),
        executor_(client.socket().get_executor()),
        stop_(core_->watchdog, [this] { leave(); }),
        patience_(core_->watchdog, [this] { lose_patience(); }),
        left_(core_->watchdog, [this] { reset_left(); }),
        to_write_(executor_, Steady::time_point::max()),
        written_(executor_, Steady::time_point::max()),
        one_ended_(executor_, Steady::time_point::max()),
        workers_(*this, executor_, *this) {}

  awaitable<void> run();

 private:
  awaitable<void> read();
  awaitable<error_code> wait_for_bytes();
  awaitable<void> write();
  void write_soon() override { to_write_.cancel(); }
  void spawn_writer();
  void begin_fresh();
  void request_over() override;
  void all_ended() override { one_ended_.cancel(); }
  // Whoever does not take the rest of an answer that nobody works for any more.
  void reset_left();
  // Which deadline holds now, if any does.
  void set_patience();
  void lose_patience();
  // No new requests; ends when those there are have ended.
  void leave();

  const std::shared_ptr<Core> core_;
  Conn& client_;
  asio::any_io_executor executor_;
  Watch stop_;      // always idle: expires when the gateway stops or retires
  Watch patience_;  // with the client's next step
  Watch left_;      // with those that reset_left() is for
  bool some_left_ = false;
  enum class Awaited { nothing, block, request } awaited_ = Awaited::nothing;
  // Never expire by themselves: cancelling them wakes who waits.
  asio::steady_timer to_write_;
  asio::steady_timer written_;
  asio::steady_timer one_ended_;
  asio::cancellation_signal end_writer_;
  Workers workers_;
  std::uint64_t served_ = 0;
  bool writing_ = false;   // the writer is there
  bool said_all_ = false;  // it has nothing more to say; what still comes in is thrown away
};

awaitable<void> Session::run() {
  // Everything here ends by itself when told to, and in an order that cannot be left to unwinding.
  co_await asio::this_coro::throw_if_cancelled(false);
  stop_.set_idle(true);
  stop_.set_tells();
  if (core_->watchdog->ending()) leave();
  client_.watch().disarm();
  client_.expect_more();
  spawn_writer();
  co_await read();
  // Not louder: it is written as often as somebody likes to provoke it.
  if (const auto& found = mux.violation())
    log::debug("{}: a client was sent away: {}", core_->settings.resource, found->why);
  mux.abandon();
  end_writer_.emit(asio::cancellation_type::terminal);
  workers_.dismiss();
  while (writing_ || !workers_.ended()) {
    write_soon();
    co_await one_ended_.async_wait(use_tuple);
  }
}

void Session::spawn_writer() {
  writing_ = true;
  asio::co_spawn(executor_, write(),
                 asio::bind_cancellation_slot(end_writer_.slot(), [this](const std::exception_ptr& error) {
                   if (error) log::error("{}: the writer of a connection ended badly", core_->settings.resource);
                   // Not here: the slot's own machinery may still be on the stack.
                   asio::post(executor_, [this] {
                     writing_ = false;
                     one_ended_.cancel();
                   });
                 }));
}

awaitable<void> Session::read() {
  std::size_t thrown_away = 0;
  for (;;) {
    if (const auto bytes = client_.unread(); !bytes.empty() && !said_all_) {
      mux.receive(bytes, Steady::now());
      client_.consume(bytes.size());
      begin_fresh();
      write_soon();
    } else {
      thrown_away += bytes.size();
      client_.consume(bytes.size());
      if (thrown_away > kLingerBytesMax) co_return;
    }
    set_patience();
    while (!said_all_ && mux.queued() > kQueuedMax && !client_.timed_out()) co_await written_.async_wait(use_tuple);
    if (co_await wait_for_bytes()) co_return;
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) co_return;
  }
}

awaitable<error_code> Session::wait_for_bytes() {
  // Nobody's buffer is kept while nothing is at work.
  if (mux.streams() == 0 && !mux.in_header_block() && !said_all_)
    if (const auto error = co_await client_.readable(); error || !client_.unread().empty()) co_return error;
  co_return co_await client_.fill();
}

void Session::begin_fresh() {
  for (auto* stream : mux.take_fresh()) {
    // What comes after the last one is refused unprocessed, and the client told so: it asks on another connection.
    if (const auto most = core_->options.clients.requests_max; most != 0 && ++served_ == most) leave();
    workers_.serve(*stream);
  }
}

void Session::request_over() {
  // Answered before anybody could look: its client's idleness begins anew all the same.
  if (awaited_ == Awaited::request) patience_.arm(core_->settings.idle_timeout);
  set_patience();
  write_soon();
  if (!std::exchange(some_left_, true)) left_.arm(kLookAtLeft);
}

void Session::reset_left() {
  some_left_ = mux.reset_left(Steady::now());
  if (some_left_) left_.arm(kLookAtLeft);
  write_soon();
}

awaitable<void> Session::write() {
  co_await asio::this_coro::throw_if_cancelled(false);
  auto& buffers = client_.watch().buffers();
  for (;;) {
    auto out = buffers.take_gathering();
    mux.pull(out, kWriteBytes);
    if (!out.empty()) {
      client_.watch().arm(core_->settings.idle_timeout);
      Conn::Parts parts{asio::buffer(out), asio::const_buffer{}, asio::const_buffer{}};
      Conn::Written sent;
      if (!client_.write_now(parts, sent)) sent = co_await client_.write_on(parts, sent);
      buffers.give_gathering(std::move(out));
      written_.cancel();
      if (sent.error) break;
      client_.watch().disarm();
      continue;
    }
    buffers.give_gathering(std::move(out));
    if (mux.done()) break;
    co_await to_write_.async_wait(use_tuple);
  }
  // Says that no more comes, and lets read() go on for a moment: closing over unread bytes would reset the connection
  // and take our last words from the client's hands.
  said_all_ = true;
  co_await client_.finish();
  error_code ignored;
  client_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  client_.watch().arm(kLinger);
  written_.cancel();
}

void Session::set_patience() {
  const auto next = mux.in_header_block() || !mux.greeted() ? Awaited::block
                    : workers_.busy() == 0                  ? Awaited::request
                                                            : Awaited::nothing;
  // A client that sends on, but never what is waited for, gains no time by it.
  if (next == awaited_) return;
  awaited_ = next;
  if (next == Awaited::nothing)
    patience_.disarm();
  else
    patience_.arm(next == Awaited::block ? core_->settings.header_timeout : core_->settings.idle_timeout);
}

void Session::lose_patience() {
  if (awaited_ == Awaited::block)
    mux.terminate(ErrorCode::enhance_your_calm, "the header block did not come within its time");
  else
    leave();
  write_soon();
}

void Session::leave() {
  mux.go_away();
  write_soon();
}

}  // namespace

awaitable<void> serve(std::shared_ptr<Core> core, Conn& client, proxy::Gate& gate, Arrival& arrival) {
  Session session(std::move(core), client, gate, arrival);
  co_await session.run();
}

}  // namespace foreshadow::kinds::http::h2
