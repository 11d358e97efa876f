// Which clients have written of late: who has just changed something must not be shown how it was before. Remembers
// clients by a hash of what makes them one, in a table of fixed size: two that share a place only make it more careful.
// The time is an argument.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/time.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {

// Thread-safe, because a client may write to one of the gateway's threads and read from another. 256 KiB.
class RecentWrites {
 public:
  using Time = std::chrono::steady_clock::time_point;
  void note(std::uint64_t client, Time now) {
    places_[place(client)].store(now.time_since_epoch().count(), std::memory_order_release);
  }
  bool within(std::uint64_t client, Millis time, Time now) const {
    const Time last{Time::duration(places_[place(client)].load(std::memory_order_acquire))};
    return last != Time{} && now - last < time;
  }

 private:
  static constexpr std::size_t kPlaces = 1 << 15;
  static std::size_t place(std::uint64_t client) { return proxy::mix(client) % kPlaces; }
  std::array<std::atomic<Time::rep>, kPlaces> places_{};
};

}  // namespace foreshadow::kinds::http
