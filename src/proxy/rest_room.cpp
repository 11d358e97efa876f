#include "proxy/rest_room.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <utility>

#include "base/assert.hpp"
#include "proxy/wake.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

RestRoom::RestRoom(const asio::any_io_executor& executor, Wake wake, std::function<void()> swept)
    : executor_(executor),
      wake_(std::move(wake)),
      swept_(std::move(swept)),
      set_(executor, "idle connections keep their sessions"),
      sweeper_(executor) {}

RestRoom::~RestRoom() { close(); }

bool RestRoom::take(tcp::socket& client, SessionMark& mark, Steady::time_point until) {
  boost::system::error_code error;
  const bool v6 = client.local_endpoint(error).protocol() == tcp::v6();
  if (error || closed_) return false;
  if (free_ == kNone) {
    places_.emplace_back();
    free_ = static_cast<std::uint32_t>(places_.size() - 1);
  }
  const auto at = free_;
  auto& place = places_[at];
  if (!set_.add(client.native_handle(), EPOLLIN | EPOLLRDHUP, at)) return false;
  const int fd = client.release(error);
  if (error) {
    set_.remove(client.native_handle());
    return false;
  }
  free_ = place.newer;
  place = {fd, v6, std::move(mark), until, newest_, kNone};
  (newest_ == kNone ? oldest_ : places_[newest_].newer) = at;
  newest_ = at;
  ++size_;
  set_.listen(weak_from_this(), &RestRoom::hear);
  if (!sweeping_) sweep();
  return true;
}

RestRoom::Place RestRoom::leave(std::uint32_t at) {
  auto& place = places_[at];
  FS_ASSERT(place.fd >= 0);
  set_.remove(place.fd);
  (place.older == kNone ? oldest_ : places_[place.older].newer) = place.newer;
  (place.newer == kNone ? newest_ : places_[place.newer].older) = place.older;
  Place left = std::move(place);
  place = {};
  place.newer = std::exchange(free_, at);
  --size_;
  return left;
}

void RestRoom::hear(std::uint64_t at) {
  auto left = leave(static_cast<std::uint32_t>(at));
  tcp::socket client(executor_);
  boost::system::error_code error;
  client.assign(left.v6 ? tcp::v6() : tcp::v4(), left.fd, error);
  if (error)
    ::close(left.fd);
  else
    wake_(std::move(client));
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
  set_.close();
  wake(sweeper_);
}

}  // namespace foreshadow::proxy
