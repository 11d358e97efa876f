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
#include "foresee/profile/drift.hpp"

namespace foreshadow::foresee {

struct Settings {
  // Ascending. Scores are given for exactly these; both thresholds' horizons belong here.
  std::vector<Millis> horizons{std::chrono::seconds{12}, std::chrono::seconds{30}};
  // Fewer fresh samples of a hard limit's signal: unknown. An objective's trend needs twice as many.
  int samples_min = 8;
  // Shortest past a trend may be read from, as a share of the shortest horizon; twice that for an objective.
  double history_min = 0.2;
  // Looks in a row, each with news, that a score must hold for before it is told above `score_low`.
  int confirmations = 2;
  double score_low = 0.3;
  // Period of a known cycle; absent: looked for in the window itself.
  std::optional<Millis> period;
  int baseline_samples = 240;
};

// How much of the past a window should hold for these settings: enough to see a cycle, a step or a sawtooth for what it
// is.
Millis window_span(const Settings& settings);

// Carried between calls for one resource; a value, may be dropped at any time at the cost of confirmations and
// baseline.
struct Memory {
  std::optional<InstanceId> current;  // a change of it forgets the rest
  std::map<std::string, Baseline> signals;
  std::vector<std::vector<double>> recent;  // scores of the last looks, unconfirmed, newest last
  Time newest;                              // newest sample at the last look: a look without news confirms nothing
  friend bool operator==(const Memory&, const Memory&) = default;
};

// The score is the highest first-passage probability over the current side's signals with a limit, since they are
// dependent; the band reaches to their sum, which bounds the union whatever the dependence. `known` is false unless
// every hard limit's signal of the current side is fresh and long enough (without hard limits: at least one
// objective's). `degraded` when a limit is crossed or process_up is 0. Never reads a clock: `window.at` is now.
// Requires: settings.horizons ascending and not empty, as configuration checks.
Outlook look_ahead(const Window& window, const Settings& settings, Memory& memory);

}  // namespace foreshadow::foresee
