#include "app/controller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "api/handler.hpp"
#include "api/status.hpp"
#include "app/bypass_marker.hpp"
#include "app/wall_clock.hpp"
#include "app/wiring.hpp"
#include "base/log.hpp"
#include "engine/engine.hpp"
#include "engine/inbox.hpp"
#include "engine/watch.hpp"
#include "engine/workers.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "journal/sqlite_journal.hpp"
#include "observe/scheduler.hpp"
#include "observe/series_store.hpp"

namespace foreshadow::app {
namespace {

using std::chrono::steady_clock;

// The engine's state for readers on other threads: copied out at most twenty times a second, or at once when asked to.
class Showcase {
 public:
  void show(const decide::State& state) {
    auto copy = std::make_shared<const decide::State>(state);
    const std::lock_guard lock(mutex_);
    state_ = std::move(copy);
  }
  std::shared_ptr<const decide::State> state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const decide::State> state_ = std::make_shared<const decide::State>();
};

class Controller {
 public:
  Controller(const config::Config& config, const std::vector<const kinds::Kind*>& kinds) : config_(config), kinds_(kinds) {}

  Result<void> run(std::stop_token stop) {
    FS_CHECK(io::make_directory(config_.state_dir));
    FS_TRY(store, observe::SeriesStore::open(store_settings()));
    store_ = std::move(store);
    journal_ = std::make_unique<journal::SqliteJournal>(journal::SqliteSettings{.path = config_.journal_path(), .retention = {}, .vfs = {}});
    FS_CHECK(make_hands());
    engine_ = std::make_unique<engine::Engine>(clock_, *journal_, *workers_, engine::EngineSettings{FORESHADOW_VERSION, 2000});
    FS_CHECK(engine_->start(configured()));
    take_bypasses();
    scheduler_ = std::make_unique<observe::Scheduler>(
        clock_, [this](const ResourceId& resource, std::vector<observe::Reading> readings, Time at) {
          store_->append(resource, readings, at, clock_.now());
        });
    FS_CHECK(make_watches());
    follow_state();
    FS_TRY(server, serve());
    log::info("controller runs term {} with {} resources", engine_->state().term, config_.resources.size());
    loop(stop);
    // Observers first, so that nothing is posted to an inbox nobody reads; then the hands, so that no effect outlives us.
    server.reset();
    watches_.clear();
    scheduler_.reset();
    inbox_.close();
    workers_.reset();
    engine_->snapshot();
    return {};
  }

 private:
  observe::SeriesStoreSettings store_settings() const {
    observe::SeriesStoreSettings settings;
    settings.path = config_.series_path();
    for (const auto& r : config_.resources) settings.retention = std::max(settings.retention, r.observe.retention);
    return settings;
  }

  std::vector<PolicySet> configured() const {
    std::vector<PolicySet> sets;
    for (const auto& r : config_.resources) sets.push_back({r.resource, r.policy});
    return sets;
  }

  Result<void> make_hands() {
    std::map<ResourceId, engine::Ports> ports;
    for (const auto& r : config_.resources) {
      const auto* kind = find_kind(kinds_, r.resource.kind);
      if (!kind) return fail(Code::invalid, fmt::format("kind '{}' of resource '{}' is not known", r.resource.kind, r.resource.id));
      ports.emplace(r.resource.id, make_ports(config_, r, *kind));
    }
    workers_ = std::make_unique<engine::Workers>(
        std::move(ports), [this](Event event) { inbox_.post(std::move(event)); },
        [](const ResourceId& resource, const std::string& text) { log::warn("PAGE {}: {}", resource, text); });
    return {};
  }

  Result<void> make_watches() {
    for (const auto& r : config_.resources) {
      const auto* kind = find_kind(kinds_, r.resource.kind);
      observe::ResourceSignals signals{r.observe.stale_after, {}};
      for (const auto& s : r.observe.signals) signals.signals.push_back({s.name, s.limit});
      store_->watch(r.resource.id, signals);
      engine::WatchSettings settings;
      settings.interval = r.observe.interval;
      settings.stale_after = r.observe.stale_after;
      // Enough past for a trend over the longest horizon, and never more than memory holds.
      settings.span = std::max<Millis>(4 * std::max(r.policy.shadowing.horizon, r.policy.critical.horizon), r.observe.interval * 100);
      if (!r.observe.calendar.empty()) {
        FS_TRY(calendar, observe::load_calendar(r.observe.calendar));
        settings.calendar = std::move(calendar);
      }
      watches_.emplace(r.resource.id,
                       std::make_unique<engine::Watch>(
                           r.resource.id, settings,
                           engine::Watch::Parts{*kind, r.options, make_steer(config_, r), kind->replicator(r.options),
                                                kind->promoter(r.options), *store_, *scheduler_, clock_, [this](Event event) { inbox_.post(std::move(event)); }}));
    }
    return {};
  }

  Result<std::unique_ptr<io::RpcServer>> serve() {
    api::Handler handler(api::Seams{
        .snapshot = [this] { return api::status_json(*showcase_.state(), clock_.now()).dump(); },
        .submit =
            [this](const ResourceId& resource, const Command& command) -> Result<void> {
              const auto state = showcase_.state();
              if (!journal_healthy_) return fail(Code::refused, "this controller only observes: " + state->frozen_why);
              inbox_.post(Event{{}, resource, command});
              return {};
            },
        .plan = [this](const ResourceId& resource) { return plan(resource); }});
    return io::RpcServer::listen(config_.controller_socket(), std::move(handler));
  }

  Result<nlohmann::json> plan(const ResourceId& resource) {
    const auto state = showcase_.state();
    std::string provision;
    const auto* settings = config_.find(resource);
    const auto known = state->resources.find(resource);
    if (settings && known != state->resources.end() && !known->second.shadow) {
      // A provisioner of its own: the workers' may be busy, and a plan changes nothing.
      const auto provisioner = make_provisioner(config_, *settings);
      const auto text = provisioner->plan({resource, known->second.current, resource + "-plan", Millis{60'000}}, {});
      provision = text ? *text : "no plan could be had: " + text.error().what;
    }
    std::vector<GatewayReport> reports;
    if (settings)
      if (auto told = make_steer(config_, *settings)->report(resource, {})) reports = std::move(*told);
    return api::plan_json(*state, resource, provision, reports);
  }

  void follow_state() {
    for (const auto& [id, lifecycle] : engine_->state().resources)
      if (const auto it = watches_.find(id); it != watches_.end()) it->second->follow(engine::standing_of(lifecycle));
    journal_healthy_ = engine_->observe_only_why().empty();
    showcase_.show(engine_->state());
  }

  // What an operator left while no controller answered: before anything else is decided.
  void take_bypasses() {
    for (const auto& r : config_.resources) {
      const auto& id = r.resource.id;
      const auto left = left_bypass(config_.state_dir, id);
      if (left && !*left) continue;
      if (!left) {
        log::error("{}", left.error().what);
        continue;
      }
      engine_->handle(Event{{}, id, **left});
      if (engine_->observe_only_why().empty()) forget_bypass(config_.state_dir, id);
    }
  }

  void loop(std::stop_token stop) {
    auto flushed = steady_clock::now();
    while (!stop.stop_requested()) {
      Millis wait{100};
      if (const auto due = engine_->next_deadline()) wait = std::clamp(*due - clock_.now(), Millis{1}, wait);
      if (auto event = inbox_.take(wait)) {
        engine_->handle(std::move(*event));
        follow_state();
      }
      engine_->tick();
      // Observations are not worth a disk write each, but a crash should not forget more than a second of them.
      if (const auto now = steady_clock::now(); now - flushed > std::chrono::seconds{1}) {
        take_bypasses();
        (void)journal_->flush();
        flushed = now;
      }
    }
  }

  const config::Config& config_;
  const std::vector<const kinds::Kind*>& kinds_;
  WallClock clock_;
  engine::Inbox inbox_;
  Showcase showcase_;
  std::unique_ptr<observe::SeriesStore> store_;
  std::unique_ptr<journal::SqliteJournal> journal_;
  std::unique_ptr<engine::Workers> workers_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<observe::Scheduler> scheduler_;
  std::map<ResourceId, std::unique_ptr<engine::Watch>> watches_;
  std::atomic<bool> journal_healthy_ = true;  // for threads beside the strand
};

}  // namespace

Result<void> run_controller(const config::Config& config, const std::vector<const kinds::Kind*>& kinds, std::stop_token stop) {
  return Controller(config, kinds).run(stop);
}

}  // namespace foreshadow::app
