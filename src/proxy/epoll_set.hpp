// A set of epoll(7) of our own within the event loop: for descriptors of which thousands have nothing to say, or of
// which only what Boost.Asio does not tell apart is asked. The loop watches one descriptor, the set's. Owns none of
// those in it.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace foreshadow::proxy {

// A part of an object that is shared, on one executor without parallelism.
class EpollSet {
 public:
  // Where the system has no set for us the log says `without`: what is so instead.
  EpollSet(const boost::asio::any_io_executor& executor, std::string_view without);

  bool is_open() const { return poll_.is_open(); }
  // Asks for `events` of `fd`, told with `data`. False: there is no set, or the kernel has no room.
  bool add(int fd, std::uint32_t events, std::uint64_t data);
  // Requires: it was added. -1: it was closed since, and the kernel has forgotten it.
  void remove(int fd);
  // Nothing is told from now on.
  void close() noexcept;

  // Calls hear(data) for what is told, never from here, as long as anything is in the set; once nothing is, somebody
  // has to listen again after add(). Does nothing where it listens already. `owner`, whom this is a part of, lives as
  // long as hear() takes, and is not kept alive by waiting.
  template <class Owner>
  void listen(std::weak_ptr<Owner> owner, void (Owner::*hear)(std::uint64_t data)) {
    if (listening_) return;
    listening_ = true;
    poll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this, owner = std::move(owner), hear](const boost::system::error_code& error) {
                       const auto kept = owner.lock();
                       if (!kept) return;
                       listening_ = false;
                       if (error) return;
                       std::array<epoll_event, kBatch> room;
                       for (const auto& event : told(room)) {
                         // Whoever hears may close.
                         if (is_open()) (kept.get()->*hear)(event.data.u64);
                       }
                       if (is_open() && size_ > 0) listen(owner, hear);
                     });
  }

 private:
  static constexpr std::size_t kBatch = 128;
  std::span<const epoll_event> told(std::span<epoll_event> room);

  boost::asio::posix::stream_descriptor poll_;
  std::size_t size_ = 0;
  bool listening_ = false;
};

}  // namespace foreshadow::proxy
