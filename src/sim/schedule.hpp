// Time in the simulated world: a queue ordered by (time, sequence). Everything that ever happens there is an entry, so one
// seed gives one history.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/time.hpp"

namespace foreshadow::sim {

class Schedule final : public Clock {
 public:
  using Act = std::function<void()>;

  explicit Schedule(Time start) : now_(start) {}
  Time now() override { return now_; }
  void at(Time when, Act act) { queue_.push({std::max(when, now_), next_++, std::move(act)}); }
  void after(Millis delay, Act act) { at(now_ + delay, std::move(act)); }
  bool empty() const { return queue_.empty(); }
  Time next_at() const { return queue_.top().at; }
  // Moves the clock to the earliest entry and does it. Requires: not empty.
  void step() {
    auto entry = std::move(const_cast<Entry&>(queue_.top()));
    queue_.pop();
    now_ = entry.at;
    entry.act();
  }

 private:
  struct Entry {
    Time at;
    std::uint64_t seq;
    Act act;
    bool operator<(const Entry& o) const { return std::tie(o.at, o.seq) < std::tie(at, seq); }
  };
  Time now_;
  std::uint64_t next_ = 0;
  std::priority_queue<Entry> queue_;
};

}  // namespace foreshadow::sim
