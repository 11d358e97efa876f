// The port through which the world's numbers come in. A kind of resource brings its own sources; generic ones
// (procfs, cgroup, volume, calendar) live in this folder.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/window.hpp"

namespace foreshadow::observe {

// One reading of one signal. No value means the source looked and could not tell: unknown.
struct Reading {
  InstanceId instance;
  std::string signal;
  std::optional<double> value;
};

// Blocking, called from one thread of its own at a time; must return soon after `stop` is requested and never later
// than its configured timeout, so that a hung target cannot hold up the others.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::string name() const = 0;
  // All readings of one scrape. An error means that nothing could be read, which makes its signals unknown.
  virtual Result<std::vector<Reading>> scrape(std::stop_token stop) = 0;
};

}  // namespace foreshadow::observe
