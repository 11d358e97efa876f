// One seeded history: the real engine, decide, learn and journal against the simulated world, with crashes of every party
// at every step. The same seed and mode give the same history, to the last event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/chance.hpp"

namespace foreshadow::sim {

// Nothing goes wrong but this: of two gateways one is killed right after a journaled step (an intent, or an effect's
// answer).
struct PairKill {
  bool shares_data = false;
  int gateway = 0;
  int step = 0;                // counted from 1; 0: nobody is killed
  std::optional<Millis> down;  // then it is back; absent: never
  bool removed = false;        // an operator takes it out of the path a second later
};

struct RunSettings {
  std::uint64_t seed = 1;
  Mode mode = Mode::safety;
  bool trace = false;  // collect what happened, for a person
  std::optional<PairKill> pair{};
};

struct RunReport {
  std::uint64_t seed = 0;
  Mode mode = Mode::safety;
  std::string violation;  // empty: every invariant held
  std::uint64_t digest = 0;  // of all events in order: equal for equal histories
  int events = 0;
  int handovers = 0;
  int aborted = 0;
  int failovers = 0;       // done
  std::uint64_t lost = 0;  // commits, all of them told of and accepted
  int controller_crashes = 0;
  int gateway_crashes = 0;
  int outcomes = 0;
  int steps = 0;            // journaled
  std::uint64_t epoch = 0;  // of the first resource, in the end
  std::vector<std::string> trace;
};

RunReport run(const RunSettings& settings);

}  // namespace foreshadow::sim
