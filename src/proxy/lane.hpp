// One instance as a gate sees it: the work it has, who waits for it to have room, and whether it is given any. Lives
// from the first table that names its instance until no table does and its last work is done.
#pragma once

#include <list>
#include <memory>

#include "domain/histogram.hpp"
#include "domain/resource.hpp"
#include "proxy/circuit.hpp"

namespace foreshadow::proxy {

struct Waiter;

struct Lane {
  Lane(std::shared_ptr<const Instance> of, CircuitSettings settings) : instance(std::move(of)), circuit(settings) {}

  std::shared_ptr<const Instance> instance;
  int busy = 0;
  std::list<Waiter*> queue{};  // in the order they came
  bool in_table = true;
  bool is_current = false;
  Circuit circuit;
  std::uint64_t waited = 0;
  Histogram wait{};
};

}  // namespace foreshadow::proxy
