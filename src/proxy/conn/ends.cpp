#include "proxy/conn/ends.hpp"

#include <sys/epoll.h>

#include <utility>

namespace foreshadow::proxy {

Ends::Ends(const boost::asio::any_io_executor& executor)
    : set_(executor, "connections are looked at twice for each request") {}

std::optional<std::uint32_t> Ends::watch(int fd, boost::intrusive_ptr<Edges::State> who) {
  if (free_.empty()) {
    places_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
  }
  const auto at = free_.back();
  auto& place = places_[at];
  // Told once, and done: errors and the end of both directions are told unasked.
  if (!set_.add(fd, EPOLLRDHUP | EPOLLONESHOT, (std::uint64_t{place.round} << 32) | at)) return std::nullopt;
  free_.pop_back();
  place.who = std::move(who);
  set_.listen(weak_from_this(), &Ends::hear);
  return at;
}

void Ends::forget(std::uint32_t at, int fd) {
  set_.remove(fd);
  auto& place = places_[at];
  place.who.reset();
  ++place.round;
  free_.push_back(at);
}

void Ends::hear(std::uint64_t told) {
  // Whoever goes on may give places back, and take others.
  const auto& place = places_[static_cast<std::uint32_t>(told)];
  if (place.who && place.round == told >> 32) boost::intrusive_ptr(place.who)->end();
}

}  // namespace foreshadow::proxy
