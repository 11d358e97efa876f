// The joint of this folder: a Window in, an Outlook out. Pure: what it must remember from one call to the next is the
// Memory value that the caller carries, so a replay with the same windows gives the same outlooks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "domain/outlook.hpp"
#include "domain/window.hpp"

namespace foreshadow::foresee {

struct Settings {
  // Ascending. Scores are given for exactly these; both thresholds' horizons belong here.
  std::vector<Millis> horizons{std::chrono::seconds{12}, std::chrono::seconds{30}};
  int samples_min = 8;  // fewer fresh samples of every signal with a limit: unknown
  // Shortest past a trend may be read from, as a share of the shortest horizon.
  double history_min = 0.2;
  // Looks in a row that must agree before a score may rise from low to high.
  int confirmations = 2;
  double score_low = 0.3;  // below: low, may rise freely within
  // Period of a known cycle; absent: looked for in the window itself.
  std::optional<Millis> period;
  // Samples kept as the baseline that drift is measured against.
  int baseline_samples = 240;
};

// Carried between calls for one resource; a value, may be dropped at any time at the cost of confirmations and
// baseline.
struct SignalMemory {
  std::vector<double> baseline;  // an even sample of calm values
  std::uint64_t baseline_seen = 0;
  Time newest;  // of the samples already taken into the baseline
  friend bool operator==(const SignalMemory&, const SignalMemory&) = default;
};
struct Memory {
  std::optional<InstanceId> current;  // a change of it forgets the rest
  std::map<std::string, SignalMemory> signals;
  std::vector<std::vector<double>> recent;  // raw scores of the last looks, newest last
  Time newest;                              // newest sample at the last look: a look without news confirms nothing
  friend bool operator==(const Memory&, const Memory&) = default;
};

// Only signals with a limit and a fresh sample can raise the score; known is false unless every hard limit's signal
// (or, without hard limits, every limit's) on the current side is fresh and long enough. Never reads a clock:
// `window.at` is now.
Outlook look_ahead(const Window& window, const Settings& settings, Memory& memory);

}  // namespace foreshadow::foresee
