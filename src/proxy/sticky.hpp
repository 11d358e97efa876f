// Which side a client is on. A client's point in [0, 1) never moves, so as a weight grows clients only ever join the
// other side, and as it shrinks they only leave it.
#pragma once

#include <cstdint>

namespace foreshadow::proxy {

// SplitMix64's finaliser (Steele, Lea, Flood 2014): neighbouring addresses and ports land far apart.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

constexpr double point_of(std::uint64_t sticky) { return static_cast<double>(mix(sticky) >> 11) * 0x1.0p-53; }

}  // namespace foreshadow::proxy
