#include "engine/inbox.hpp"

#include <algorithm>
#include <utility>

namespace foreshadow::engine {

void Inbox::post(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    // Only pure observations may be superseded: a later outlook says all that an earlier one said.
    if (std::holds_alternative<OutlookMade>(event.body)) {
      const auto same = std::find_if(events_.begin(), events_.end(), [&](const Event& waiting) {
        return std::holds_alternative<OutlookMade>(waiting.body) && waiting.resource == event.resource;
      });
      if (same != events_.end()) events_.erase(same);
    }
    events_.push_back(std::move(event));
  }
  filled_.notify_one();
}

std::optional<Event> Inbox::take(Millis wait) {
  std::unique_lock lock(mutex_);
  filled_.wait_for(lock, wait, [&] { return closed_ || !events_.empty(); });
  if (events_.empty()) return std::nullopt;
  auto event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Inbox::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  filled_.notify_all();
}

bool Inbox::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace foreshadow::engine
