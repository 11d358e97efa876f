// Hears of the other sides' ends (epoll(7), EPOLLRDHUP), which Boost.Asio's own watch does not tell apart from bytes:
// an end that came with the last bytes has no edge of its own, and who reads the bytes and no further would never hear
// of it. One set for all connections of a thread; costs nothing until somebody ends.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/conn/edges.hpp"
#include "proxy/epoll_set.hpp"

namespace foreshadow::proxy {

// On one executor without parallelism. Shared, because a connection's frame may be the last to go.
class Ends : public std::enable_shared_from_this<Ends> {
 public:
  explicit Ends(const boost::asio::any_io_executor& executor);

  // Calls who->end() once, when the other side of `fd` has ended, also if it has already; never from here. The place is
  // to be given back by forget(). Nothing: the kernel has no room for it.
  std::optional<std::uint32_t> watch(int fd, boost::intrusive_ptr<Edges::State> who);
  // `fd`: -1 where it was closed.
  void forget(std::uint32_t place, int fd);

 private:
  struct Place {
    boost::intrusive_ptr<Edges::State> who;  // null: free
    // What comes late, of a descriptor that another process still holds, must not be taken for the next one's.
    std::uint32_t round = 0;
  };
  void hear(std::uint64_t told);

  EpollSet set_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_;
};

}  // namespace foreshadow::proxy
