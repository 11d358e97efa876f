// How many clients of one listener are connected, and at which thread: so that the limit on connections holds for all
// threads together, and the next client goes where the fewest are. Counted when a connection is accepted, before its
// thread knows of it, and when it has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/assert.hpp"

namespace foreshadow::proxy {

class Crowd {
 public:
  // `first`: who gets the first client; several listeners with few clients each then do not all fill the same thread.
  Crowd(std::size_t threads, std::size_t first) : places_(threads), next_(first % threads) {}

  // The thread that gets the next client, which counts from now on: of those with the fewest, the next in turn.
  // Nothing: there are `most` already. To be called by one thread.
  std::optional<std::size_t> admit(std::size_t most) {
    if (size() >= most) return std::nullopt;
    auto best = next_;
    for (std::size_t i = 1; i < places_.size(); ++i) {
      const auto at = (next_ + i) % places_.size();
      if (this->at(at) < this->at(best)) best = at;
    }
    next_ = (best + 1) % places_.size();
    places_[best].clients.fetch_add(1, std::memory_order_relaxed);
    return best;
  }
  // Any thread.
  void left(std::size_t at, std::size_t clients) {
    [[maybe_unused]] const auto before = places_[at].clients.fetch_sub(clients, std::memory_order_relaxed);
    FS_ASSERT(before >= clients);
  }
  // Any thread. Never less than there are.
  std::size_t size() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < places_.size(); ++i) sum += at(i);
    return sum;
  }
  std::size_t at(std::size_t thread) const { return places_[thread].clients.load(std::memory_order_relaxed); }

 private:
  // Apart, because each thread writes its own.
  struct alignas(64) Place {
    std::atomic<std::size_t> clients{0};
  };
  std::vector<Place> places_;
  std::size_t next_;
};

}  // namespace foreshadow::proxy
