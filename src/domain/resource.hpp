// What is protected: a resource, the instances that can serve it, and the segments its work divides into.
// Values only: they copy, compare and serialise.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace foreshadow {

using ResourceId = std::string;
using InstanceId = std::string;
using SegmentId = std::string;
// What a step found out and others need as it was at that moment, by name ("xmax"): few and short.
using Facts = std::map<std::string, std::string>;

// Where a process listens. A host that starts with '/' is the directory of a Unix socket (PostgreSQL's convention).
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  std::string text() const { return host + ":" + std::to_string(port); }
};

// One process (or cluster of processes) that can serve the resource.
struct Instance {
  InstanceId id;
  Endpoint endpoint;
  // Host path of the data directory; empty where the kind keeps no data of its own.
  std::string data_dir;
  // Host path of the file whose first line is the main process id; empty if not known.
  std::string pid_file;
  // What this instance shares its fate with: "host:a", "volume:/srv/pg", "rack:7".
  std::vector<std::string> failure_domains;
  // Kind-specific, documented per kind (cgroup, agent socket, database, user ...).
  std::map<std::string, std::string> attributes;
  friend bool operator==(const Instance&, const Instance&) = default;
};

// A part of the work that is mirrored, judged and moved by itself. How requests are matched to it is the gateway's
// configuration; decisions need only its sensitivities.
struct Segment {
  SegmentId id;
  bool writes = false;
  // The service honours `Foreshadow-Mirror`: it does the work, rolls it back, and calls nothing outside.
  bool honours_mirror_mark = false;
  // Data up to this old is acceptable; zero means none, so the segment may not be served by a lagging shadow.
  Millis staleness_max{0};
  // Share of the objective that a slower answer costs, 0 (batch) to 1 (interactive). Least sensitive moves first.
  double latency_sensitivity = 0.5;
  friend bool operator==(const Segment&, const Segment&) = default;
};

// What a kind can do; `decide` plans within it.
struct KindTraits {
  // Two instances may serve writes at once because the data lives elsewhere (a stateless HTTP service).
  bool shares_data = false;
  // The old primary can be proven fenced before promotion.
  bool fences = false;
  // After a handover the old primary keeps receiving the driver of its predicted failure.
  bool counterfactual = false;
  friend bool operator==(const KindTraits&, const KindTraits&) = default;
};

struct Resource {
  ResourceId id;
  std::string kind;
  KindTraits traits;
  Instance primary;
  std::vector<Segment> segments;
  // Names of every gateway in its path; a hold and a seal need all of them.
  std::vector<std::string> gateways;
  friend bool operator==(const Resource&, const Resource&) = default;
};

}  // namespace foreshadow
