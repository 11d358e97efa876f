#include "kinds/tcp/session/tunnel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace foreshadow::kinds::tcp {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kValues = asio::as_tuple(asio::use_awaitable);
// A sender that is never empty lets the others have their turn after so many chunks.
constexpr int kBurst = 8;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Neither bytes nor an end wait to be read.
bool silent(tcp::socket& socket) {
  char byte = 0;
  return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && would_block();
}

bool was_reset(tcp::socket& socket) {
  // Only an error: POLLHUP also comes when both directions have ended as they should.
  pollfd fd{socket.native_handle(), 0, 0};
  return ::poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

void close(tcp::socket& socket, bool by_reset) {
  error_code ignored;
  if (by_reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

proxy::Micros between(Tunnel::Steady::time_point from, Tunnel::Steady::time_point to) {
  return std::chrono::duration_cast<proxy::Micros>(to - from);
}

}  // namespace

Tunnel::Tunnel(proxy::Pass pass, tcp::socket client, tcp::socket instance, proxy::Micros reached_in,
               HeldAccount& account)
    : pass_(std::move(pass)),
      client_(std::move(client)),
      instance_(std::move(instance)),
      up_{client_, instance_, Held(account)},
      down_{instance_, client_, Held(account)},
      reached_in_(reached_in) {}

Tunnel::~Tunnel() {
  const bool whole = up_.held.empty() && down_.held.empty();
  const bool orderly = whole && (end_ == End::finished || end_ == End::idle || end_ == End::at_rest);
  close(client_, !orderly);
  close(instance_, !orderly);
  pass_.finish(went_well(), reached_in_);
}

asio::awaitable<void> Tunnel::run() {
  using asio::experimental::awaitable_operators::operator&&;
  co_await (pump(up_) && pump(down_));
  end(End::finished);
}

void Tunnel::end(End why) {
  if (end_ != End::none) return;
  end_ = why;
  error_code ignored;
  client_.cancel(ignored);
  instance_.cancel(ignored);
}

asio::awaitable<void> Tunnel::pump(Lane& lane) {
  while (lane.open && end_ == End::none) {
    const bool blocked = !lane.held.empty();
    auto& socket = blocked ? lane.to : lane.from;
    const auto [error] =
        co_await socket.async_wait(blocked ? asio::socket_base::wait_write : asio::socket_base::wait_read, kValues);
    // Nobody cancels but end(), whose reason stands already, and the gateway when it cannot wait any longer.
    if (error) co_return end(End::cut);
    if (end_ != End::none) co_return;
    if (blocked)
      flush(lane);
    else
      copy(lane);
  }
}

void Tunnel::copy(Lane& lane) {
  for (int i = 0; i < kBurst; ++i) {
    const auto scratch = up_.held.account().scratch();
    const auto got = ::recv(lane.from.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (got == 0) return sending_ended(lane);
    if (got < 0) return would_block() ? void() : end(reset_by(lane.from));
    heard(lane);
    const auto bytes = scratch.first(static_cast<std::size_t>(got));
    auto sent = ::send(lane.to.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && !would_block()) return end(reset_by(lane.to));
    sent = std::max<ssize_t>(sent, 0);
    if (sent < got) return lane.held.keep(bytes.subspan(static_cast<std::size_t>(sent)));
    if (bytes.size() < scratch.size()) return;
  }
}

void Tunnel::flush(Lane& lane) {
  const auto rest = lane.held.rest();
  const auto sent = ::send(lane.to.native_handle(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return would_block() ? void() : end(reset_by(lane.to));
  moved_at_ = Steady::now();
  lane.held.consume(static_cast<std::size_t>(sent));
}

void Tunnel::heard(Lane& lane) {
  moved_at_ = Steady::now();
  client_waits_ = &lane == &up_;
  if (lane.spoke) return;
  lane.spoke = true;
  if (&lane == &up_)
    asked_at_ = moved_at_;
  else
    pass_.finish(true, reached_in_ + between(up_.spoke ? asked_at_ : began_at_, moved_at_));
}

void Tunnel::sending_ended(Lane& lane) {
  moved_at_ = Steady::now();
  lane.open = false;
  if (&lane == &down_ && !down_.spoke && up_.spoke && up_.open) given_up_on_ = true;
  error_code ignored;
  lane.to.shutdown(tcp::socket::shutdown_send, ignored);
}

Tunnel::End Tunnel::reset_by(const tcp::socket& side) const {
  return &side == &client_ ? End::client_reset : End::instance_reset;
}

bool Tunnel::at_rest(bool whoever_spoke) {
  if (end_ != End::none || !up_.held.empty() || !down_.held.empty()) return false;
  if (!whoever_spoke && (client_waits_ || !up_.open || !down_.open)) return false;
  return (!up_.open || silent(client_)) && (!down_.open || silent(instance_));
}

void Tunnel::look_for_resets() {
  if (end_ != End::none) return;
  const bool unread_client = !up_.open || !up_.held.empty();
  const bool unread_instance = !down_.open || !down_.held.empty();
  if (unread_client && was_reset(client_)) return end(End::client_reset);
  if (unread_instance && was_reset(instance_)) return end(End::instance_reset);
}

// What a client spoils says nothing of the instance.
bool Tunnel::went_well() const {
  switch (end_) {
    case End::instance_reset:
      return false;
    case End::idle:
      return !up_.spoke;
    case End::finished:
      return !given_up_on_;
    case End::none:
    case End::client_reset:
    case End::at_rest:
    case End::cut:
      break;
  }
  return true;
}

}  // namespace foreshadow::kinds::tcp
