#include "engine/watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <set>
#include <utility>

#include "base/log.hpp"

namespace foreshadow::engine {
namespace {

// Mirrored and live work since `before`, over the gateways whose process is still the same.
double load_ratio(const std::vector<GatewayReport>& before, const std::vector<GatewayReport>& now) {
  double live = 0, mirrored = 0;
  for (const auto& report : now) {
    const auto old = std::find_if(before.begin(), before.end(), [&](const GatewayReport& b) {
      return b.gateway == report.gateway && b.incarnation == report.incarnation;
    });
    for (const auto& segment : report.segments) {
      double live_before = 0, mirrored_before = 0;
      if (old != before.end())
        for (const auto& s : old->segments)
          if (s.segment == segment.segment) {
            live_before = static_cast<double>(s.current.requests);
            mirrored_before = static_cast<double>(s.mirror.sent);
          }
      live += static_cast<double>(segment.current.requests) - live_before;
      mirrored += static_cast<double>(segment.mirror.sent) - mirrored_before;
    }
  }
  return live > 0 ? mirrored / live : 0;
}

}  // namespace

Standing standing_of(const decide::Lifecycle& l) {
  Standing s;
  s.current = l.current;
  s.shadow = l.shadow;
  s.old_primary = l.old_primary;
  s.standby = l.standby;
  s.watching_old = l.phase == Phase::watching && l.step == HandoverStep::none;
  s.traits = l.resource.traits;
  s.canary = l.policy.canary;
  const std::set<Millis> horizons{l.policy.shadowing.horizon, l.policy.critical.horizon};
  s.horizons.assign(horizons.begin(), horizons.end());
  return s;
}

Watch::Watch(ResourceId resource, WatchSettings settings, Parts parts)
    : resource_(std::move(resource)), settings_(std::move(settings)), parts_(std::move(parts)) {}

Watch::~Watch() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  for (const auto& [instance, ids] : sources_)
    for (const auto id : ids) parts_.scheduler.remove(id);
}

void Watch::follow(const Standing& standing) {
  {
    const std::lock_guard lock(mutex_);
    if (thread_.joinable() && standing_ == standing) return;
    standing_ = standing;
  }
  add_sources(standing);
  if (!thread_.joinable()) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void Watch::add_sources(const Standing& standing) {
  std::map<InstanceId, const Instance*> wanted{{standing.current.id, &standing.current}};
  if (standing.shadow) wanted.emplace(standing.shadow->id, &*standing.shadow);
  if (standing.old_primary) wanted.emplace(standing.old_primary->id, &*standing.old_primary);
  for (auto it = sources_.begin(); it != sources_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    for (const auto id : it->second) parts_.scheduler.remove(id);
    it = sources_.erase(it);
  }
  for (const auto& [id, instance] : wanted) {
    if (sources_.contains(id)) continue;
    auto& ids = sources_[id];
    for (auto& source : parts_.kind.sources(*instance, parts_.options))
      ids.push_back(parts_.scheduler.add(resource_, std::move(source), {settings_.interval, settings_.stale_after}));
  }
}

void Watch::run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    const auto began = parts_.clock.now();
    Standing standing;
    {
      const std::lock_guard lock(mutex_);
      standing = standing_;
    }
    tell_evidence(standing, stop);
    tell_instances(standing, stop);
    look(standing, stop);
    // A look that took longer than the interval is not caught up with: the next one starts afresh.
    const auto left = std::max(settings_.interval - (parts_.clock.now() - began), Millis{0});
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, left, [] { return false; });
  }
}

void Watch::tell_evidence(const Standing& standing, std::stop_token stop) {
  const auto reports = parts_.steer->report(resource_, stop);
  const auto now = parts_.clock.now();
  if (reports) {
    const observe::Sides sides{standing.current.id, standing.shadow      ? std::optional(standing.shadow->id)
                                                    : standing.old_primary ? std::optional(standing.old_primary->id)
                                                                           : std::nullopt};
    parts_.store.append(resource_, statistics_.update(*reports, sides, now), now, now);
  }
  // A gateway that does not answer simply adds no evidence; that it is missing shows in the list of those that did.
  auto evidence = observe::evidence_between(reports_, reports ? *reports : std::vector<GatewayReport>{}, standing.canary);
  // A standby in waiting takes no work, but it could be failed over to.
  const auto& replica = standing.shadow ? standing.shadow : standing.standby;
  if (replica && standing.traits.fences && look_at_replica()) {
    const auto state = parts_.replicator->state(standing.current, *replica, stop);
    lag_ = state && state->following ? state->lag : std::nullopt;
  }
  if (replica) evidence.lag = lag_;
  if (reports) reports_ = *reports;
  parts_.post(Event{{}, resource_, std::move(evidence)});
}

std::optional<bool> Watch::reading(const InstanceId& instance, const std::string& signal) const {
  const auto sample = parts_.store.latest(resource_, instance, signal);
  if (!sample || parts_.clock.now() - sample->at > settings_.stale_after) return std::nullopt;
  return sample->value > 0.5;
}

// What was predicted is the crossing of a limit, so that is what is looked for; a process that ends has crossed every one.
std::string Watch::failure_of(const InstanceId& instance) const {
  const auto process = reading(instance, "process_up");
  if (process == false) return "its process is gone";
  // A server that gives up in an orderly way takes its pid file along, and then only a fresh connection can tell.
  if (!process && reading(instance, "probe_up") == false) return "it refuses new connections";
  const auto window = parts_.store.window(resource_, instance, std::nullopt, parts_.clock.now(), settings_.stale_after);
  for (const auto& signal : window.signals) {
    if (signal.instance != instance || signal.stale || signal.samples.empty() || !signal.limit || !signal.limit->hard) continue;
    const double value = signal.samples.back().value;
    const bool past = signal.limit->direction == Direction::rising ? value >= signal.limit->value : value <= signal.limit->value;
    if (past) return fmt::format("{} is {:.6g}, past its limit of {:.6g}", signal.name, value, signal.limit->value);
  }
  return "";
}

void Watch::see_old_primary(const InstanceId& instance, CounterfactualSeen& seen) {
  const auto failure = failure_of(instance);
  if (!failure.empty() && old_failed_looks_ == 0) old_failed_at_ = parts_.clock.now();
  old_failed_looks_ = failure.empty() ? 0 : old_failed_looks_ + 1;
  constexpr std::uint64_t looks_to_believe = 3;
  if (old_failed_looks_ >= looks_to_believe) {
    seen.alive = false;
    seen.died_at = old_failed_at_;
    seen.detail = failure;
  } else if (failure.empty() && reading(instance, "process_up") == true) {
    seen.alive = true;
  }
}

// Its questions open connections to both databases, so they are asked at most once a second however short the interval.
bool Watch::look_at_replica() {
  const auto now = parts_.clock.now();
  if (now - replica_looked_ < std::chrono::seconds{1}) return false;
  replica_looked_ = now;
  return true;
}

void Watch::tell_instances(const Standing& standing, std::stop_token stop) {
  tell_current(standing, stop);
  tell_old_primary(standing, stop);
}

void Watch::tell_current(const Standing& standing, std::stop_token stop) {
  const auto& current = standing.current.id;
  const auto process = reading(current, "process_up");
  const auto probe = reading(current, "probe_up");
  if (current_told_ != current) {
    current_told_ = current;
    current_alive_.reset();
    current_dead_looks_ = 0;
  }
  const auto post = [&](std::optional<bool> alive, std::string detail) {
    current_alive_ = alive;
    parts_.post(Event{{}, resource_, InstanceSeen{current, alive, std::move(detail)}});
  };
  if (!standing.traits.fences) {
    // Two views: what the kernel says of the process, and what a fresh connection finds. Either alone is not enough.
    if (process == false && probe == false && current_alive_ != false) post(false, "process gone and probe refused");
    if (process == true && probe == true && current_alive_ != true) post(true, "process and probe are up");
    return;
  }
  // A server that was stopped in mid-work has a process all the same. So the second view is the agent's, on its host: a
  // write over a fresh connection. Without that word nobody is called dead; it is said anew at each look.
  constexpr std::uint64_t looks_to_believe = 3;
  if (probe) current_dead_looks_ = *probe ? 0 : current_dead_looks_ + 1;
  if (probe == true && current_alive_ != true) post(true, "a fresh connection is answered");
  if (probe != false || current_dead_looks_ < looks_to_believe) return;
  const auto written = parts_.promoter->writable(standing.current, stop);
  if (written) {
    // It is there: what keeps new connections from it lies between.
    if (*written && current_alive_ != true) post(true, "a write from its own host has succeeded");
  } else if (written.error().code == Code::unreachable || written.error().code == Code::timeout) {
    post(false, fmt::format("fresh connections fail, and a write from its own host has failed{}",
                            process == false ? "; its process is gone" : ""));
  } else if (current_dead_looks_ == looks_to_believe) {
    post(std::nullopt, "fresh connections fail, and " + written.error().what);
  }
}

void Watch::tell_old_primary(const Standing& standing, std::stop_token stop) {
  if (!standing.watching_old || !standing.old_primary) {
    reports_at_watch_ = reports_;
    replica_looks_ = replica_following_ = old_failed_looks_ = 0;
    return;
  }
  CounterfactualSeen seen;
  if (standing.traits.shares_data) {
    seen.load_ratio = load_ratio(reports_at_watch_, reports_);
    seen.detail = "share of live requests that were also sent to it";
  } else if (look_at_replica()) {
    const auto state = parts_.replicator->state(standing.current, *standing.old_primary, stop);
    ++replica_looks_;
    if (state && state->following) ++replica_following_;
  }
  if (!standing.traits.shares_data && replica_looks_ > 0) {
    seen.load_ratio = static_cast<double>(replica_following_) / static_cast<double>(replica_looks_);
    seen.detail = "share of looks at which it was receiving every write";
  }
  see_old_primary(standing.old_primary->id, seen);
  parts_.post(Event{{}, resource_, std::move(seen)});
}

void Watch::look(const Standing& standing, std::stop_token stop) {
  if (stop.stop_requested()) return;
  const auto now = parts_.clock.now();
  auto window = parts_.store.window(resource_, standing.current.id,
                                    standing.shadow ? std::optional(standing.shadow->id) : std::nullopt, now, settings_.span);
  const auto longest = standing.horizons.empty() ? Millis{0} : standing.horizons.back();
  window.calendar = settings_.calendar.entries(now - settings_.span, now + longest);
  foresee::Settings settings;
  settings.horizons = standing.horizons;
  parts_.post(Event{{}, resource_, OutlookMade{foresee::look_ahead(window, settings, memory_)}});
}

}  // namespace foreshadow::engine
