#include "config/read_limits.hpp"

#include <fmt/format.h>

namespace foreshadow::config {
namespace {

void read_times(Fields& f, proxy::CircuitSettings& circuit, const char* base, const char* most) {
  f.duration(base, circuit.open);
  f.duration(most, circuit.open_max);
  if (f.sound() && circuit.open_max < circuit.open)
    f.problem(most, fmt::format("{}: it is below {}; raise it", most, base));
}

}  // namespace

void read_limits(Fields& f, proxy::InstanceLimits& limits) {
  f.integer("upstream_connections_max", limits.at_once_max, 0, 1'000'000);
  f.integer("release_concurrency", limits.release_concurrency, 1, 1'000'000);
  f.integer("upstream_queue_max", limits.queued_max, 0, 1'000'000);
  f.duration("upstream_queue_timeout", limits.queue_timeout);
  if (!f.has("upstream_connections_max"))
    for (const auto* key : {"upstream_queue_max", "upstream_queue_timeout"})
      if (f.has(key))
        f.problem(key, fmt::format("{}: nothing queues without a limit; add upstream_connections_max", key));
  f.map("breaker", [&](Fields& b) {
    b.integer("connect_failures", limits.breaker.consecutive, 0, 1000);
    b.duration("wait", limits.unreachable_wait);
    read_times(b, limits.breaker, "open_time", "max_open_time");
  });
  f.map("outlier", [&](Fields& o) {
    o.integer("consecutive_errors", limits.outlier.consecutive, 0, 1000);
    o.fraction("failure_share", limits.outlier.share);
    o.integer("request_volume", limits.outlier.volume_min, 1, 1'000'000);
    o.duration("interval", limits.outlier.interval);
    read_times(o, limits.outlier, "base_ejection_time", "max_ejection_time");
  });
}

}  // namespace foreshadow::config
