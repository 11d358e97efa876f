// The few Asio helpers that sessions, backends and mirrors share: a socket of either family, a growing read buffer, a
// wake-up, a deadline. Everything here lives on the gateway's one thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"

namespace foreshadow::kinds::pg_gateway {

// TCP or Unix, whatever the instance's endpoint says.
using Socket = boost::asio::generic::stream_protocol::socket;

// Bytes read and not yet used. Grows only as bytes come, so a peer that announces a large message pays for it first.
class Inbox {
 public:
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  // Free room behind the bytes, at least one byte. Views are invalid afterwards.
  boost::asio::mutable_buffer room();
  void arrived(std::size_t bytes) { end_ += bytes; }
  void consume(std::size_t bytes);

 private:
  static constexpr std::size_t small_bytes = 4 << 10;
  static constexpr std::size_t busy_bytes = 64 << 10;
  void resize(std::size_t capacity);

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool filled_ = false;  // the last read took all there was room for
};

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

void close_quietly(Socket& socket);

// Errors: unreachable, timeout; nothing was sent.
boost::asio::awaitable<Result<Socket>> connect(boost::asio::any_io_executor executor, Endpoint endpoint, Millis within);

}  // namespace foreshadow::kinds::pg_gateway
