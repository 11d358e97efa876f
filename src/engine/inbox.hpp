// Where events from other threads wait for the strand. Bounded: an outlook that has not been looked at is replaced by its
// successor, everything else is kept, since it is an answer or a command.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "base/time.hpp"
#include "domain/event.hpp"

namespace foreshadow::engine {

// Thread-safe.
class Inbox {
 public:
  void post(Event event);
  // The next event, or nothing once `wait` is over or the inbox was closed.
  std::optional<Event> take(Millis wait);
  void close();
  bool closed() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Event> events_;
  bool closed_ = false;
};

}  // namespace foreshadow::engine
