// Seeded series whose truth is known, and what look_ahead says of them sample by sample.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "domain/window.hpp"
#include "foresee/look_ahead.hpp"

namespace foreshadow::foresee::synthetic {

inline constexpr Millis step{250};
inline const Time start = time_from_ms(1'700'000'000'000);

// `course` gives the value at seconds since the start, before noise; every `step`.
inline std::vector<Sample> series(double seconds, const std::function<double(double)>& course, double noise = 0,
                                  std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<Sample> samples;
  for (Millis at{0}; to_seconds(at) <= seconds; at += step)
    samples.push_back({start + at, course(to_seconds(at)) + noise * random.normal()});
  return samples;
}

inline Signal signal(std::string name, std::vector<Sample> samples, Limit limit, std::string instance = "a") {
  return {.instance = std::move(instance),
          .name = std::move(name),
          .limit = limit,
          .samples = std::move(samples),
          .stale = false};
}

inline Window window(std::vector<Signal> signals) {
  Window w{
      .resource = "shop", .at = start, .current = "a", .shadow = {}, .signals = std::move(signals), .calendar = {}};
  for (const auto& s : w.signals)
    if (!s.samples.empty()) w.at = std::max(w.at, s.samples.back().at);
  return w;
}

// One look after every sample, each at a window of window_span, as the engine does it.
inline std::vector<Outlook> replay(const std::vector<Sample>& samples, Limit limit, const Settings& settings = {},
                                   const std::string& name = "process_resident_memory_bytes") {
  Memory memory;
  std::vector<Outlook> outlooks;
  const auto span = static_cast<std::size_t>(window_span(settings) / step);
  for (std::size_t n = 1; n <= samples.size(); ++n) {
    const auto from = n > span ? n - span : 0;
    outlooks.push_back(look_ahead(window({signal(name,
                                                 {samples.begin() + static_cast<std::ptrdiff_t>(from),
                                                  samples.begin() + static_cast<std::ptrdiff_t>(n)},
                                                 limit)}),
                                  settings, memory));
  }
  return outlooks;
}

inline double seconds_of(const Outlook& outlook) { return to_seconds(outlook.at - start); }

}  // namespace foreshadow::foresee::synthetic
