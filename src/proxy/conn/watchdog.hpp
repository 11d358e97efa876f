// Deadlines for thousands of connections at the price of an assignment each: one timer looks at all of them every few
// milliseconds, instead of a timer being set and cancelled around every read. And what else those connections share.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "proxy/conn/buffers.hpp"

namespace foreshadow::proxy {

class Ends;
class Watchdog;

// One connection's deadline. Not movable: the watchdog knows its address.
class Watch {
 public:
  using Steady = std::chrono::steady_clock;
  // `on_expiry` interrupts whatever the connection waits for; called at most once per arm().
  Watch(std::shared_ptr<Watchdog> watchdog, std::function<void()> on_expiry);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void arm(std::chrono::milliseconds timeout);
  void disarm() {
    until_ = Steady::time_point::max();
    expired_ = false;
  }
  bool expired() const { return expired_; }
  // Nothing is lost if this connection is ended now: stop() ends it at once.
  void set_idle(bool idle) { idle_ = idle; }
  // Its expiry tells the other side before anything ends, as GOAWAY does: retire() expires it too, in its turn.
  void set_tells() { tells_ = true; }
  // Of all connections under the same watchdog.
  const std::shared_ptr<Ends>& ends() const;
  Buffers& buffers() const;

 private:
  friend class Watchdog;
  void expire();
  std::shared_ptr<Watchdog> watchdog_;
  std::function<void()> on_expiry_;
  Steady::time_point until_ = Steady::time_point::max();
  bool expired_ = false;
  bool idle_ = false;
  bool tells_ = false;
  Watch* next_ = nullptr;
  Watch* previous_ = nullptr;
};

// On one executor without parallelism. Shared, because a connection's frame may be the last to go.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  // Deadlines are late by at most this, and by kCoarse (coarse_clock.hpp).
  static constexpr std::chrono::milliseconds tick{20};

  explicit Watchdog(boost::asio::any_io_executor executor);
  // Expires every idle connection now, and from now on as soon as it becomes idle.
  void stop();
  bool stopping() const { return stopping_; }
  // Idle connections stay until their clients have heard that they end: a bare end would meet a request on its way. Who
  // can be told is told in turn, evenly spread over `within`: not all are to come back at once.
  void retire(std::chrono::milliseconds within);
  // No answer from now on promises another on the same connection.
  bool ending() const { return stopping_ || retiring_; }

 private:
  friend class Watch;
  void add(Watch& watch);
  void remove(Watch& watch);
  void run();
  boost::asio::steady_timer timer_;
  Watch* first_ = nullptr;
  Watch* cursor_ = nullptr;  // the next one a sweep will look at
  bool running_ = false;
  bool stopping_ = false;
  bool retiring_ = false;
  std::shared_ptr<Ends> ends_;
  Buffers buffers_;
};

inline const std::shared_ptr<Ends>& Watch::ends() const { return watchdog_->ends_; }
inline Buffers& Watch::buffers() const { return watchdog_->buffers_; }

}  // namespace foreshadow::proxy
