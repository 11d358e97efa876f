// Route tables and settings that the tests of this folder share.
#pragma once

#include "domain/route_table.hpp"

namespace foreshadow::proxy::testing {

inline constexpr Millis kLong{20'000};

inline Instance instance(const std::string& id, std::uint16_t port) {
  Instance i;
  i.id = id;
  i.endpoint = {"127.0.0.1", port};
  return i;
}

inline std::vector<Segment> segments() {
  Segment browse, orders;
  browse.id = "browse";
  orders.id = "orders";
  orders.writes = true;
  return {browse, orders};
}

// a is current; with a weight or a mirror share, b is its other side.
inline RouteTable table(std::uint64_t epoch, std::uint64_t version, double weight = 0, double mirror = 0) {
  RouteTable t;
  t.resource = "shop";
  t.epoch = epoch;
  t.version = version;
  t.term = 1;
  t.current = instance("a", 9001);
  if (weight > 0 || mirror > 0) {
    t.other = instance("b", 9002);
    t.routes = {{"browse", weight, mirror}};
  }
  return t;
}

}  // namespace foreshadow::proxy::testing
