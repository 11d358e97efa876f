#include "kinds/http/session/tunnel.hpp"

#include <poll.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr std::string_view kReason = "the service moves; connect again";

// An idle tunnel holds no buffer.
awaitable<error_code> receive(Conn& from) {
  if (const auto error = co_await from.readable(); error || !from.unread().empty()) co_return error;
  co_return co_await from.fill();
}

bool was_reset(Conn& conn) {
  // Only an error: POLLHUP also comes when both directions have ended as they should.
  pollfd fd{conn.socket().native_handle(), 0, 0};
  return ::poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

}  // namespace

Tunnel::Tunnel(Conn& client, std::unique_ptr<Conn> instance, bool websocket)
    : client_(client),
      instance_(std::move(instance)),
      websocket_(websocket),
      wake_(client.socket().get_executor(), Steady::time_point::max()) {}

awaitable<bool> Tunnel::run() {
  using asio::experimental::awaitable_operators::operator&&;
  client_.watch().disarm();
  instance_->watch().disarm();
  co_await (carry_up() && carry_down() && see_out());
  if (end_ == End::none) end_ = End::finished;

  const bool up_whole = client_.unread().empty();
  const bool down_whole = instance_->unread().empty() && !writing_;
  bool orderly = end_ == End::finished || end_ == End::idle;
  // Between two exchanges, as far as a stranger to the protocol can tell.
  if (end_ == End::closed) orderly = client_.quiet() && instance_->quiet();
  const bool told = said_close_ && !speaking_ && end_ != End::client_gone;
  close(*instance_, (orderly || told) && up_whole);
  instance_.reset();
  co_return close(client_, (orderly && down_whole) || told);
}

bool Tunnel::close(Conn& conn, bool orderly) {
  if (orderly) return true;
  error_code ignored;
  conn.socket().set_option(asio::socket_base::linger(true, 0), ignored);
  conn.socket().close(ignored);
  return false;
}

awaitable<void> Tunnel::carry_up() {
  while (end_ == End::none) {
    if (client_.unread().empty()) {
      if (const auto error = co_await receive(client_)) {
        if (error != asio::error::eof)
          end(End::client_gone);
        else
          co_await instance_->end_sending();
        break;
      }
      moved_at_ = Steady::now();
    }
    const auto bytes = client_.unread();
    if ((co_await instance_->write(bytes)).error) {
      end(End::instance_gone);
      break;
    }
    client_.consume(bytes.size());
    moved_at_ = Steady::now();
  }
  lane_ended();
}

awaitable<void> Tunnel::carry_down() {
  while (end_ == End::none) {
    if (instance_->unread().empty()) {
      if (const auto error = co_await receive(*instance_)) {
        down_open_ = false;
        if (error != asio::error::eof)
          end(End::instance_gone);
        else if (!speaking_)
          co_await pass_end_on();
        break;
      }
      moved_at_ = Steady::now();
    }
    auto bytes = instance_->unread();
    if (leaving() && websocket_) {
      if (frames_.at_boundary())
        silenced_ = true;
      else
        bytes = bytes.substr(0, frames_.to_boundary(bytes));
    }
    if (!silenced_) {
      writing_ = true;
      const auto written = co_await client_.write(bytes);
      if (written.error) {
        end(End::client_gone);
        break;
      }
      writing_ = false;
      if (websocket_) frames_.pass(bytes);
      moved_at_ = Steady::now();
      if (leaving()) wake_.cancel();
    }
    instance_->consume(bytes.size());
  }
  lane_ended();
}

awaitable<void> Tunnel::see_out() {
  while (!leaving() && going()) co_await wake_.async_wait(use_tuple);
  while (websocket_ && going() && down_open_ && !frames_.lost() && (writing_ || !frames_.at_boundary()))
    co_await wake_.async_wait(use_tuple);
  if (!going() || !down_open_) co_return;
  if (!websocket_ || frames_.lost()) co_return end(End::closed);
  silenced_ = true;
  said_close_ = true;
  // The instance has said it by itself.
  if (frames_.closed()) co_return;
  speaking_ = true;
  const auto frame = close_frame(code_, kReason);
  if ((co_await client_.write(frame)).error) co_return end(End::client_gone);
  speaking_ = false;
  if (!down_open_) co_await pass_end_on();
}

awaitable<void> Tunnel::pass_end_on() {
  // Nobody is left to hear a client that is being seen out.
  if (said_close_)
    end(End::closed);
  else
    co_await client_.end_sending();
}

void Tunnel::lane_ended() {
  --lanes_;
  wake_.cancel();
}

void Tunnel::leave(std::uint16_t code, Millis within) {
  leave_by_ = std::min(leave_by_, Steady::now() + within);
  if (leaving()) return;
  code_ = code;
  wake_.cancel();
}

void Tunnel::end(End why) {
  if (end_ != End::none) return;
  end_ = why;
  // Also what is about to wait is stopped by this, at the latest with the watchdog's next look.
  client_.watch().arm(Millis{0});
  instance_->watch().arm(Millis{0});
  wake_.cancel();
}

void Tunnel::look(Steady::time_point now, Millis idle_timeout) {
  if (end_ != End::none) return;
  if (now >= leave_by_) return end(End::late);
  if (now - moved_at_ >= idle_timeout) return end(End::idle);
  if (was_reset(client_)) return end(End::client_gone);
  if (was_reset(*instance_)) return end(End::instance_gone);
}

}  // namespace foreshadow::kinds::http
