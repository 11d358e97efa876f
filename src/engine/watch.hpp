// Observes one resource: scrapes its instances and its gateways, looks ahead, and posts what was seen as events. It moves
// values from `observe` to `foresee` to the inbox; it decides nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "act/promote/promoter.hpp"
#include "act/replicate/replicator.hpp"
#include "act/steer/steer.hpp"
#include "base/time.hpp"
#include "decide/state.hpp"
#include "foresee/look_ahead.hpp"
#include "kinds/kind.hpp"
#include "observe/calendar.hpp"
#include "observe/gateway_source.hpp"
#include "observe/scheduler.hpp"
#include "observe/series_store.hpp"

namespace foreshadow::engine {

struct WatchSettings {
  Millis interval{1000};
  Millis stale_after{4000};
  Millis span{std::chrono::minutes{10}};  // how much past a look ahead rests on
  observe::Calendar calendar;
};

// What the watch must know of where the resource stands: a small copy, given by the engine's strand.
struct Standing {
  Instance current;
  std::optional<Instance> shadow;
  std::optional<Instance> old_primary;
  std::optional<Instance> standby;
  bool watching_old = false;
  KindTraits traits;
  CanaryPolicy canary;
  std::vector<Millis> horizons;
  friend bool operator==(const Standing&, const Standing&) = default;
};
Standing standing_of(const decide::Lifecycle& lifecycle);

// One thread of its own, plus one per source. follow() is called from the engine's strand.
class Watch {
 public:
  using Post = std::function<void(Event)>;
  struct Parts {
    const kinds::Kind& kind;
    kinds::Options options;
    std::unique_ptr<act::Steer> steer;            // of its own, for reports only
    std::unique_ptr<act::Replicator> replicator;  // of its own, for lag only
    std::unique_ptr<act::Promoter> promoter;      // of its own, for the write that a dead primary is tried with
    observe::SeriesStore& store;
    observe::Scheduler& scheduler;
    Clock& clock;
    Post post;
  };

  Watch(ResourceId resource, WatchSettings settings, Parts parts);
  ~Watch();
  void follow(const Standing& standing);

 private:
  void run(std::stop_token stop);
  void look(const Standing& standing, std::stop_token stop);
  void tell_evidence(const Standing& standing, std::stop_token stop);
  void tell_instances(const Standing& standing, std::stop_token stop);
  void tell_current(const Standing& standing, std::stop_token stop);
  void tell_old_primary(const Standing& standing, std::stop_token stop);
  void add_sources(const Standing& standing);
  std::string failure_of(const InstanceId& instance) const;
  void see_old_primary(const InstanceId& instance, CounterfactualSeen& seen);
  bool look_at_replica();
  std::optional<bool> reading(const InstanceId& instance, const std::string& signal) const;

  const ResourceId resource_;
  const WatchSettings settings_;
  Parts parts_;
  std::mutex mutex_;
  Standing standing_;
  std::map<InstanceId, std::vector<observe::SourceId>> sources_;  // strand only
  // The watch thread's own.
  foresee::Memory memory_;
  observe::GatewayStatistics statistics_;
  std::vector<GatewayReport> reports_;
  std::vector<GatewayReport> reports_at_watch_;
  std::uint64_t replica_looks_ = 0;
  std::uint64_t replica_following_ = 0;
  std::uint64_t old_failed_looks_ = 0;
  Time old_failed_at_;
  Time replica_looked_;
  std::optional<Millis> lag_;
  std::optional<bool> current_alive_;
  InstanceId current_told_;          // of whom
  std::uint64_t current_dead_looks_ = 0;
  std::jthread thread_;
};

}  // namespace foreshadow::engine
