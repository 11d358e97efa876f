// observe -> foresee: the recent past of one resource, each signal with what is known of its limit.
// Missing or stale is unknown: neither healthy nor failed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/resource.hpp"

namespace foreshadow {

struct Sample {
  Time at;
  double value = 0;
  friend bool operator==(const Sample&, const Sample&) = default;
};

enum class Direction { rising, falling };

// Where a signal stops being harmless. `hard`: crossing it is a failure (memory, disk); otherwise an objective (SLO).
struct Limit {
  double value = 0;
  Direction direction = Direction::rising;
  bool hard = false;
  friend bool operator==(const Limit&, const Limit&) = default;
};

struct Signal {
  InstanceId instance;
  // Prometheus-style with unit suffix: "process_resident_memory_bytes", "volume_available_bytes", "request_p99_seconds".
  std::string name;
  std::optional<Limit> limit;
  // Oldest first, times strictly increasing, values finite.
  std::vector<Sample> samples;
  // No fresh sample within the staleness bound: foresee must not use the last value as if it were current.
  bool stale = false;
};

// A known event that changes the workload (a campaign, a batch run), past or coming.
struct CalendarEntry {
  std::string name;
  Time starts;
  Time ends;
  friend bool operator==(const CalendarEntry&, const CalendarEntry&) = default;
};

struct Window {
  ResourceId resource;
  Time at;
  // Who is the current side and, if there is one, its shadow: signals name instances.
  InstanceId current;
  std::optional<InstanceId> shadow;
  std::vector<Signal> signals;
  std::vector<CalendarEntry> calendar;
};

}  // namespace foreshadow
