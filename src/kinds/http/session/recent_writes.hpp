// Which clients have written of late: who has just changed something must not be shown how it was before. Remembers
// clients by a hash of what makes them one, in a table of fixed size: two that share a place only make it more careful.
// Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/time.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {

// Not thread-safe. 256 KiB.
class RecentWrites {
 public:
  using Time = std::chrono::steady_clock::time_point;
  void note(std::uint64_t client, Time now) { at(client) = now; }
  bool within(std::uint64_t client, Millis time, Time now) const {
    const auto last = places_[place(client)];
    return last != Time{} && now - last < time;
  }

 private:
  static constexpr std::size_t kPlaces = 1 << 15;
  static std::size_t place(std::uint64_t client) { return proxy::mix(client) % kPlaces; }
  Time& at(std::uint64_t client) { return places_[place(client)]; }
  std::vector<Time> places_ = std::vector<Time>(kPlaces);
};

}  // namespace foreshadow::kinds::http
