// Waiting on descriptors with a deadline and a stop token: the one place where blocking calls of io block.
#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "io/fd.hpp"

namespace foreshadow::io {

// A moment on the monotonic clock, so that a wall clock that jumps neither hurries nor delays us.
class Deadline {
 public:
  explicit Deadline(Millis from_now);
  bool passed() const { return Clock::now() >= at_; }
  // At least zero; rounded up, so that poll(2) does not spin through the last millisecond.
  Millis left() const;
  static Deadline sooner(Deadline a, Deadline b) { return a.at_ < b.at_ ? a : b; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point at_;
};

// A descriptor that becomes readable, and stays so, once the token is asked to stop.
class StopEvent {
 public:
  explicit StopEvent(std::stop_token stop);
  StopEvent(const StopEvent&) = delete;
  StopEvent& operator=(const StopEvent&) = delete;
  int fd() const { return event_.get(); }
  bool stopped() const { return stop_.stop_requested(); }

 private:
  Fd event_;
  std::stop_token stop_;
  std::optional<std::stop_callback<std::function<void()>>> callback_;
};

// poll(2) until one is ready or the deadline passes; true: something is ready. Interrupted calls go on waiting.
Result<bool> poll_until(std::span<pollfd> fds, const Deadline& deadline);

// Waits for `events` on one descriptor. Errors: timeout, cancelled, io; `what` names the activity in them.
Result<void> await(int fd, short events, const Deadline& deadline, const StopEvent& stop, const std::string& what);

// "what: No such file or directory", from errno (or the given number).
std::string errno_text(const std::string& what);
std::string errno_text(const std::string& what, int error);

}  // namespace foreshadow::io
