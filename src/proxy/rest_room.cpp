#include "proxy/rest_room.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/fd.hpp"
#include "proxy/wake.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {
constexpr int kBatch = 128;
}  // namespace

RestRoom::RestRoom(const asio::any_io_executor& executor, Wake wake, std::function<void()> swept)
    : executor_(executor), wake_(std::move(wake)), swept_(std::move(swept)), poll_(executor), sweeper_(executor) {
  boost::system::error_code error;
  io::Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (fd)
    poll_.assign(fd.get(), error);
  else
    error.assign(errno, boost::system::system_category());
  if (error)
    log::warn("idle connections keep their sessions: {}", error.message());
  else
    static_cast<void>(fd.release());
}

RestRoom::~RestRoom() { close(); }

bool RestRoom::take(tcp::socket& client, SessionMark& mark, Steady::time_point until) {
  boost::system::error_code error;
  const bool v6 = client.local_endpoint(error).protocol() == tcp::v6();
  if (error || closed_ || !poll_.is_open()) return false;
  if (free_ == kNone) {
    places_.emplace_back();
    free_ = static_cast<std::uint32_t>(places_.size() - 1);
  }
  const auto at = free_;
  auto& place = places_[at];
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u32 = at;
  if (epoll_ctl(poll_.native_handle(), EPOLL_CTL_ADD, client.native_handle(), &event) != 0) return false;
  const int fd = client.release(error);
  if (error) {
    epoll_ctl(poll_.native_handle(), EPOLL_CTL_DEL, client.native_handle(), nullptr);
    return false;
  }
  free_ = place.newer;
  place = {fd, v6, std::move(mark), until, newest_, kNone};
  (newest_ == kNone ? oldest_ : places_[newest_].newer) = at;
  newest_ = at;
  ++size_;
  if (!listening_) listen();
  if (!sweeping_) sweep();
  return true;
}

RestRoom::Place RestRoom::leave(std::uint32_t at) {
  auto& place = places_[at];
  FS_ASSERT(place.fd >= 0);
  epoll_ctl(poll_.native_handle(), EPOLL_CTL_DEL, place.fd, nullptr);
  (place.older == kNone ? oldest_ : places_[place.older].newer) = place.newer;
  (place.newer == kNone ? newest_ : places_[place.newer].older) = place.older;
  Place left = std::move(place);
  place = {};
  place.newer = std::exchange(free_, at);
  --size_;
  return left;
}

void RestRoom::listen() {
  listening_ = true;
  poll_.async_wait(asio::posix::stream_descriptor::wait_read,
                   [weak = weak_from_this()](const boost::system::error_code& error) {
                     const auto self = weak.lock();
                     if (!self) return;
                     self->listening_ = false;
                     if (error || self->closed_) return;
                     self->hear();
                     if (self->size_ > 0 && !self->listening_) self->listen();
                   });
}

void RestRoom::hear() {
  std::array<epoll_event, kBatch> events;
  const int n = epoll_wait(poll_.native_handle(), events.data(), kBatch, 0);
  for (int i = 0; i < n; ++i) {
    auto left = leave(events[static_cast<std::size_t>(i)].data.u32);
    tcp::socket client(executor_);
    boost::system::error_code error;
    client.assign(left.v6 ? tcp::v6() : tcp::v4(), left.fd, error);
    if (error)
      ::close(left.fd);
    else
      wake_(std::move(client));
  }
}

void RestRoom::sweep() {
  sweeping_ = true;
  sweeper_.expires_after(tick);
  // Weak: at the end of everything a pending tick must not keep the room.
  sweeper_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!self) return;
    self->sweeping_ = false;
    if (error || self->closed_) return;
    const auto now = Steady::now();
    while (self->oldest_ != kNone && self->places_[self->oldest_].until <= now) ::close(self->leave(self->oldest_).fd);
    if (self->swept_) self->swept_();
    if (self->size_ > 0) self->sweep();
  });
}

void RestRoom::close() noexcept {
  closed_ = true;
  while (oldest_ != kNone) ::close(leave(oldest_).fd);
  boost::system::error_code ignored;
  poll_.close(ignored);
  wake(sweeper_);
}

}  // namespace foreshadow::proxy
