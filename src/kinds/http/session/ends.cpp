#include "kinds/http/session/ends.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/log.hpp"
#include "io/fd.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;

namespace {
constexpr int kBatch = 128;
}

Ends::Ends(const asio::any_io_executor& executor) : poll_(executor) {
  boost::system::error_code error;
  io::Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (fd)
    poll_.assign(fd.get(), error);
  else
    error.assign(errno, boost::system::system_category());
  if (error)
    log::warn("connections are looked at twice for each request: {}", error.message());
  else
    static_cast<void>(fd.release());
}

std::optional<std::uint32_t> Ends::watch(int fd, boost::intrusive_ptr<Edges::State> who) {
  if (!poll_.is_open()) return std::nullopt;
  if (free_.empty()) {
    places_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
  }
  const auto at = free_.back();
  auto& place = places_[at];
  epoll_event event{};
  // Told once, and done: errors and the end of both directions are told unasked.
  event.events = EPOLLRDHUP | EPOLLONESHOT;
  event.data.u64 = (std::uint64_t{place.round} << 32) | at;
  if (epoll_ctl(poll_.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0) return std::nullopt;
  free_.pop_back();
  place.who = std::move(who);
  if (!listening_) listen();
  return at;
}

void Ends::forget(std::uint32_t at, int fd) {
  if (fd >= 0) epoll_ctl(poll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  auto& place = places_[at];
  place.who.reset();
  ++place.round;
  free_.push_back(at);
}

void Ends::listen() {
  listening_ = true;
  poll_.async_wait(asio::posix::stream_descriptor::wait_read,
                   [weak = weak_from_this()](const boost::system::error_code& error) {
                     const auto self = weak.lock();
                     if (!self) return;
                     self->listening_ = false;
                     if (error) return;
                     self->hear();
                     if (self->free_.size() < self->places_.size() && !self->listening_) self->listen();
                   });
}

void Ends::hear() {
  std::array<epoll_event, kBatch> events;
  const int n = epoll_wait(poll_.native_handle(), events.data(), kBatch, 0);
  for (int i = 0; i < n; ++i) {
    const auto told = events[static_cast<std::size_t>(i)].data.u64;
    // Whoever goes on may give places back, and take others.
    const auto& place = places_[static_cast<std::uint32_t>(told)];
    if (place.who && place.round == told >> 32) boost::intrusive_ptr(place.who)->end();
  }
}

}  // namespace foreshadow::kinds::http
