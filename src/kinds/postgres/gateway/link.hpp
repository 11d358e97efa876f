// The few Asio helpers that sessions, backends and mirrors share: a wake-up, a deadline. Everything here lives on the
// gateway's one thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.hpp"

namespace foreshadow::kinds::pg_gateway {

// Wakes every coroutine that waits. A waiter checks its condition, waits, and checks again.
class Bell {
 public:
  explicit Bell(const boost::asio::any_io_executor& executor);
  // False when the waiting coroutine was cancelled.
  boost::asio::awaitable<bool> wait();
  void ring() {
    ++rung_;
    if (waiting_ > 0) timer_.cancel();
  }

 private:
  boost::asio::steady_timer timer_;
  std::uint64_t rung_ = 0;
  int waiting_ = 0;
};

// Calls `late` once if it lives longer than `within`.
class Deadline {
 public:
  Deadline(const boost::asio::any_io_executor& executor, Millis within, std::function<void()> late);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  bool passed() const { return state_->passed; }

 private:
  struct State {
    std::function<void()> late;
    bool passed = false;
  };
  std::shared_ptr<State> state_;  // shared with the timer's handler, which may be queued already when we end
  boost::asio::steady_timer timer_;
};

}  // namespace foreshadow::kinds::pg_gateway
