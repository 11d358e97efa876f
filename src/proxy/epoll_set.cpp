#include "proxy/epoll_set.hpp"

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "io/fd.hpp"

namespace foreshadow::proxy {

EpollSet::EpollSet(const boost::asio::any_io_executor& executor, std::string_view without) : poll_(executor) {
  boost::system::error_code error;
  io::Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (fd)
    poll_.assign(fd.get(), error);
  else
    error.assign(errno, boost::system::system_category());
  if (error)
    log::warn("{}: {}", without, error.message());
  else
    static_cast<void>(fd.release());
}

bool EpollSet::add(int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  if (!is_open() || epoll_ctl(poll_.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  ++size_;
  return true;
}

void EpollSet::remove(int fd) {
  if (fd >= 0) epoll_ctl(poll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  --size_;
}

void EpollSet::close() noexcept {
  boost::system::error_code ignored;
  poll_.close(ignored);
}

std::span<const epoll_event> EpollSet::told(std::span<epoll_event> room) {
  if (!is_open()) return {};
  const int n = epoll_wait(poll_.native_handle(), room.data(), static_cast<int>(room.size()), 0);
  return room.first(static_cast<std::size_t>(std::max(n, 0)));
}

}  // namespace foreshadow::proxy
