// The one notion of time that decisions see, and the port it comes through.
// Engine time is anchored to the wall clock once, when a controller starts, and then moves with the monotonic clock; it
// never goes back, also not across restarts (the journal's last time is a floor). Leases never use it: they are
// durations, counted on the monotonic clock of the process that grants them.
#pragma once

#include <chrono>
#include <cstdint>

namespace foreshadow {

using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;

struct EngineEpoch {
  using duration = Millis;
  using rep = Millis::rep;
  using period = Millis::period;
  using time_point = std::chrono::time_point<EngineEpoch, Millis>;
  static constexpr bool is_steady = true;
};

// Milliseconds since the Unix epoch, as engine time has it.
using Time = EngineEpoch::time_point;

inline constexpr Time time_from_ms(std::int64_t ms) { return Time{Millis{ms}}; }
inline constexpr std::int64_t to_ms(Time t) { return t.time_since_epoch().count(); }
inline constexpr double to_seconds(Millis d) { return static_cast<double>(d.count()) / 1000.0; }

// Thread-safe. The real one lives in app; the simulator has its own.
class Clock {
 public:
  virtual ~Clock() = default;
  // Engine time, never decreasing.
  virtual Time now() = 0;
};

}  // namespace foreshadow
