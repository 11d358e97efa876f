// The settings that only plain streams have, out of the flat text of the configuration.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::kinds::tcp {

// What becomes of the connections that are open when a hold begins. Whoever is still connected when the hold's budget
// ends breaks the hold, not the connection.
enum class OnHold {
  wait,          // nothing is closed: the hold succeeds if they end by themselves within its budget
  close,         // those at rest are closed: silent for quiet_after, and the instance spoke last
  close_silent,  // those that are silent for quiet_after are closed, whoever spoke last: for one-way streams
};

enum class Sticky {
  connection,  // each connection draws its side afresh
  client,      // all connections of one address are on one side, and move once while the weight grows
};

struct TcpOptions {
  OnHold on_hold = OnHold::wait;
  Millis quiet_after{100};
  Sticky sticky = Sticky::connection;
  Millis connect_timeout{5000};
  std::size_t held_max = 64 << 20;  // bytes that all connections together hold for slow readers
  std::string probe_send;           // empty: a probe only connects
  std::string probe_expect;         // what the instance must say in its first bytes; empty: anything
  Millis probe_timeout{2000};
  Millis probe_interval{250};
  int probe_successes = 3;  // in a row, before a shadow counts as ready
};

std::vector<OptionInfo> option_infos();
// Error: invalid, naming the option and what it may be.
Result<TcpOptions> parse_options(const Options& options);

}  // namespace foreshadow::kinds::tcp
