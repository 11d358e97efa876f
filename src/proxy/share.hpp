// What one of several threads gets of a limit that holds for all of them together.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>

namespace foreshadow::proxy {

// The nth thread's share: together they have `total`, or one each where that is more, because a thread that may do
// nothing would be no thread. 0, which means "any number" wherever it may be configured, stays.
template <std::integral T>
constexpr T share_of(T total, std::size_t threads, std::size_t nth) {
  if (total <= 0 || threads <= 1) return total;
  const auto among = static_cast<T>(threads);
  const T more = nth < static_cast<std::size_t>(total % among) ? 1 : 0;
  return std::max<T>(1, static_cast<T>(total / among + more));
}

}  // namespace foreshadow::proxy
