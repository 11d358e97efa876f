// Where connections wait whose clients have nothing to say: a few bytes each instead of a session with its frames and
// its place in the event loop. Thousands of idle keep-alive connections then cost what their sockets cost.
//
// A session that has waited for a while gives its connection here and ends; the listener begins another one when the
// client speaks, or leaves. Knows nothing of what is spoken, so only sessions without any state may come.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/epoll_set.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::proxy {

// Lives on the gateway's thread. Shared, because a session's frame may be the last to go.
class RestRoom : public std::enable_shared_from_this<RestRoom> {
 public:
  using Steady = std::chrono::steady_clock;
  // Ends later than its time by at most this.
  static constexpr std::chrono::milliseconds tick{1000};
  // `wake` gets the connection of a client that spoke or left, and begins a session for it. Not called after close().
  using Wake = std::function<void(boost::asio::ip::tcp::socket)>;

  // `swept`: some were ended because their time was up.
  RestRoom(const boost::asio::any_io_executor& executor, Wake wake, std::function<void()> swept = {});
  ~RestRoom();
  RestRoom(const RestRoom&) = delete;
  RestRoom& operator=(const RestRoom&) = delete;

  // Requires: nothing of what the client sent was read and not used. `until`: it is ended then, not later than those
  // that come after it. False: the room is closed or the system has none, and both arguments are as they were.
  bool take(boost::asio::ip::tcp::socket& client, SessionMark& mark, Steady::time_point until);
  std::size_t size() const { return size_; }
  // Ends all of them. Nobody is taken from then on: who comes keeps its connection.
  void close() noexcept;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Place {
    int fd = -1;
    bool v6 = false;
    SessionMark mark;
    Steady::time_point until;
    std::uint32_t older = kNone;
    std::uint32_t newer = kNone;  // of a free place: the next free one
  };
  // The connection leaves its place; the descriptor is the caller's.
  Place leave(std::uint32_t at);
  void hear(std::uint64_t at);
  void sweep();

  boost::asio::any_io_executor executor_;
  Wake wake_;
  std::function<void()> swept_;
  EpollSet set_;
  boost::asio::steady_timer sweeper_;
  std::vector<Place> places_;
  std::uint32_t free_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::uint32_t newest_ = kNone;
  std::size_t size_ = 0;
  bool sweeping_ = false;
  bool closed_ = false;
};

}  // namespace foreshadow::proxy
