// The port a kind implements to carry its clients' sessions.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "domain/resource.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::proxy {

// Which work belongs to a segment. Every condition given must hold; the first segment that matches takes the work.
// HTTP: "method" (comma-separated), "path" (exact, or a prefix ending in "/**"). PostgreSQL: "application_name", "user",
// "database". An empty set matches everything.
struct SegmentMatch {
  SegmentId segment;
  std::map<std::string, std::string> conditions;
};

struct ListenerSettings {
  ResourceId resource;
  std::string kind;
  Endpoint listen;
  std::vector<Segment> segments;
  std::vector<SegmentMatch> matches;  // one per segment, same order
  // What the gateway serves with until a controller says otherwise (epoch 0, version 0).
  Instance primary;
  int connections_max = 10'000;
  Millis idle_timeout{60'000};
  Millis header_timeout{10'000};
  Millis upstream_timeout{30'000};
  std::size_t header_bytes_max = 32 << 10;
  std::size_t body_spool_max = 1 << 20;  // a body larger than this is not mirrored
  int parked_max = 10'000;
  std::map<std::string, std::string> options;  // the kind's own, already validated
};

// Everything a session needs; outlives it.
class Protocol {
 public:
  virtual ~Protocol() = default;
  // Serves one client connection to its end. Never throws.
  virtual boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, Gate& gate) = 0;
};

}  // namespace foreshadow::proxy
