// What a gateway must know of one resource before the first client comes. Plain values, so that the configuration can
// be read without the data plane's headers.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "domain/resource.hpp"
#include "io/tls_settings.hpp"
#include "proxy/circuit.hpp"

namespace foreshadow::proxy {

// Which work belongs to a segment. Every condition given must hold; the first segment that matches takes the work.
// HTTP: "method", "path", "host", "header". PostgreSQL: "application_name", "user", "database". An empty set matches
// everything. A list of values is one text, with line feeds between them.
struct SegmentMatch {
  SegmentId segment;
  std::map<std::string, std::string> conditions;
  std::map<std::string, std::string> options;  // the kind's own, where this segment's differ from the resource's
};

// How much of the work one instance has at a time, and when it gets none.
struct InstanceLimits {
  int at_once_max = 0;         // 0: any number
  int queued_max = 1000;       // wait for one instance to have room; more are refused
  Millis queue_timeout{1000};  // and none for longer
  // Of what a hold has parked, so many begin at once at its end, and as many again every 10 ms; for each that ends
  // meanwhile, two more.
  int release_concurrency = 64;
  // The current side can only be spared connections that fail: nobody else may do its work. So it is left alone for
  // moments only, in which work is refused at once instead of piling up.
  CircuitSettings breaker{.consecutive = 5, .open = Millis{100}, .open_max = Millis{1000}};
  // Or it waits so long for a side that takes no connections, in the queue: 0, and it is refused.
  Millis unreachable_wait{0};
  // The other side: meanwhile the current one does its work, and nothing is mirrored.
  CircuitSettings outlier{.consecutive = 5, .share = 0.5, .open = Millis{1000}, .open_max = Millis{300'000}};
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
  InstanceLimits limits;
  // Of the gateway, that serve it. Every limit is that of all of them together (share.hpp).
  int threads = 1;
  io::TlsServerSettings tls;        // without certificates: plain
  Millis tls_check_interval{2000};  // how often certificate and key files are looked at for changes
  // Every connection begins with a PROXY v2 header, or ends there. Never optional: whoever may choose may lie.
  bool proxy_protocol = false;
  std::map<std::string, std::string> options;  // the kind's own, already validated
};

}  // namespace foreshadow::proxy
