#include "config/read_observe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/units.hpp"

namespace foreshadow::config {
namespace {

// Every signal some source of this build makes. A name outside it would never get a sample, so its limit would guard
// nothing.
std::vector<std::string> known_signals(const std::string& kind) {
  std::vector<std::string> names{"process_resident_memory_bytes",
                                 "process_cpu_seconds_rate",
                                 "process_open_fds",
                                 "process_threads",
                                 "process_read_bytes_rate",
                                 "process_write_bytes_rate",
                                 "cgroup_memory_usage_bytes",
                                 "cgroup_memory_limit_bytes",
                                 "volume_available_bytes",
                                 "volume_size_bytes",
                                 "volume_used_ratio",
                                 "probe_up",
                                 "probe_duration_seconds",
                                 "request_rate",
                                 "request_error_ratio",
                                 "request_p50_seconds",
                                 "request_p99_seconds"};
  if (kind == "postgres")
    names.insert(names.end(), {"pg_connections", "pg_connections_max", "pg_wal_bytes", "pg_database_bytes",
                               "pg_replication_lag_seconds", "pg_replication_lag_bytes", "pg_xact_age",
                               "pg_locks_waiting", "pg_checkpoints_requested_rate", "pg_transactions_rate"});
  return names;
}

// Splits `request_p99_seconds{segment="orders"}`; the second part is empty without a label, nothing when malformed.
std::optional<std::pair<std::string, std::string>> split_label(const std::string& name) {
  const auto brace = name.find('{');
  if (brace == std::string::npos) return std::pair{name, std::string()};
  constexpr std::string_view head = "{segment=\"", tail = "\"}";
  const auto label = std::string_view(name).substr(brace);
  if (label.size() <= head.size() + tail.size() || !label.starts_with(head) || !label.ends_with(tail))
    return std::nullopt;
  return std::pair{name.substr(0, brace),
                   std::string(label.substr(head.size(), label.size() - head.size() - tail.size()))};
}

void check_name(Fields& f, const std::string& name, const Resource& resource) {
  const auto parts = split_label(name);
  if (!parts)
    return f.problem(
        "name", fmt::format("name: {} is not a signal's name; write a name, or name{{segment=\"...\"}}", shown(name)));
  const auto known = known_signals(resource.kind);
  if (std::find(known.begin(), known.end(), parts->first) == known.end())
    return f.problem("name", fmt::format("name: no source makes the signal {}{}", shown(parts->first),
                                         suggestion(parts->first, known, "there are")));
  if (parts->second.empty()) return;
  if (!parts->first.starts_with("request_"))
    return f.problem("name",
                     fmt::format("name: {} is not counted by segment; only request_ signals are", shown(parts->first)));
  std::vector<std::string> segments;
  for (const auto& segment : resource.segments) segments.push_back(segment.id);
  if (std::find(segments.begin(), segments.end(), parts->second) == segments.end())
    f.problem("name", fmt::format("name: no segment {}{}", shown(parts->second),
                                  suggestion(parts->second, segments, "there are")));
}

// "96MiB" for bytes, "500ms" for seconds, "80%" for ratios, a plain number for anything.
std::optional<double> parse_limit(const std::string& base, const std::string& text) {
  double number = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc{} && rest == end) return std::isfinite(number) ? std::optional(number) : std::nullopt;
  const auto as_double = [](auto result, auto convert) {
    return result ? std::optional(static_cast<double>(convert(*result))) : std::nullopt;
  };
  if (base.ends_with("_bytes") || base.ends_with("_bytes_rate"))
    return as_double(parse_bytes(text), [](auto v) { return v; });
  if (base.ends_with("_seconds") || base.ends_with("_age"))
    return as_double(parse_duration(text), [](auto v) { return to_seconds(v); });
  if (base.ends_with("_ratio")) return as_double(parse_fraction(text), [](auto v) { return v; });
  return std::nullopt;
}

const char* units_of(const std::string& base) {
  if (base.ends_with("_bytes") || base.ends_with("_bytes_rate")) return "a number of bytes, or one with KiB, MiB, GiB";
  if (base.ends_with("_seconds") || base.ends_with("_age")) return "a number of seconds, or one with ms, s, m";
  if (base.ends_with("_ratio")) return "a fraction, or a percentage";
  return "a plain number";
}

void read_signal(Fields& f, const Resource& resource, ObserveSettings& observe) {
  WatchedSignal signal;
  f.text("name", signal.name, Need::required);
  if (!signal.name.empty()) check_name(f, signal.name, resource);
  std::string written;
  Limit limit;
  f.text("limit", written);
  f.one_of<Direction>("direction", limit.direction, {{"rising", Direction::rising}, {"falling", Direction::falling}});
  f.boolean("hard", limit.hard);
  const auto base = signal.name.substr(0, signal.name.find('{'));
  if (f.has("limit")) {
    if (const auto value = parse_limit(base, written))
      limit.value = *value;
    else if (!written.empty())
      f.problem("limit",
                fmt::format("limit: {} is not a limit for {}; write {}", shown(written), shown(base), units_of(base)));
    signal.limit = limit;
  } else if (f.has("direction") || f.has("hard")) {
    f.problem(f.has("hard") ? "hard" : "direction", "a direction without a limit says nothing; add limit:");
  }
  for (const auto& other : observe.signals)
    if (!signal.name.empty() && other.name == signal.name)
      f.problem("name", fmt::format("name: {} is listed twice; keep one", shown(signal.name)));
  observe.signals.push_back(std::move(signal));
}

}  // namespace

void read_observe(Fields& f, const Resource& resource, ObserveSettings& observe) {
  f.duration("interval", observe.interval, Millis{50});
  observe.stale_after = 4 * observe.interval;
  f.duration("stale_after", observe.stale_after);
  f.duration("retention", observe.retention);
  f.each("signals", [&](Fields& s) { read_signal(s, resource, observe); });
  f.path("calendar", observe.calendar);
  if (f.sound() && observe.stale_after <= observe.interval)
    f.problem("stale_after", fmt::format("stale_after: {} is not longer than the interval {}, so every signal would be "
                                         "unknown between scrapes; write at least twice the interval",
                                         format_duration(observe.stale_after), format_duration(observe.interval)));
}

void check_horizons(Fields& f, const Policy& policy, const ObserveSettings& observe) {
  // A trend from fewer points than this is noise.
  constexpr int scrapes_min = 8;
  const auto check = [&](const char* which, Millis horizon) {
    if (horizon < scrapes_min * observe.interval)
      f.problem(
          "policy",
          fmt::format("policy.{}.horizon: {} is shorter than {} scrapes of {}; lengthen it to {}, or scrape more often",
                      which, format_duration(horizon), scrapes_min, format_duration(observe.interval),
                      format_duration(scrapes_min * observe.interval)));
  };
  check("shadowing", policy.shadowing.horizon);
  check("critical", policy.critical.horizon);
  const auto longest = std::max(policy.shadowing.horizon, policy.critical.horizon);
  if (observe.retention < longest)
    f.problem("observe",
              fmt::format(
                  "observe.retention: {} is shorter than the horizon {}; keep at least as much history as is foreseen",
                  format_duration(observe.retention), format_duration(longest)));
}

}  // namespace foreshadow::config
