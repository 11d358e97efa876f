#include "sim/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "decide/state_json.hpp"
#include "domain/names.hpp"
#include "engine/engine.hpp"
#include "sim/watched_journal.hpp"
#include "sim/world.hpp"

namespace foreshadow::sim {
namespace {

constexpr Time epoch_of_the_world = time_from_ms(1'000'000'000'000);

Resource make_resource(const std::string& id, bool shares_data, int n, int gateways) {
  Resource r;
  r.id = id;
  r.kind = "simulated";
  r.traits = {shares_data, !shares_data, true};
  r.primary.id = id + "-primary";
  r.primary.endpoint = {"127.0.0.1", static_cast<std::uint16_t>(10'000 + n)};
  r.primary.failure_domains = {"host:" + std::to_string(n)};
  r.segments = {{"reads", false, false, Millis{5000}, 0.2}, {"writes", true, shares_data, Millis{0}, 0.8}};
  for (int g = 0; g < gateways; ++g) r.gateways.push_back("gw" + std::to_string(g));
  return r;
}

Policy make_policy(Random& random) {
  Policy p;
  p.autonomy = random.chance(0.8) ? Autonomy::act : random.chance(0.5) ? Autonomy::advise : Autonomy::observe;
  p.approval_required = random.chance(0.1);
  p.handover_enabled = !random.chance(0.1);
  p.shadowing = {0.5, Millis{30'000}};
  p.critical = {0.8, Millis{10'000}};
  p.recede_after = Millis{10'000};
  p.canary.requests_min = 50;
  p.hold.lease = Millis{1500};
  p.budget.cooldown = Millis{5000};
  p.counterfactual_max = Millis{40'000};
  p.failover.enabled = random.chance(0.7);
  p.failover.restart_grace = Millis{1000};
  p.failover.loss_max_bytes = random.chance(0.2) ? 5 * SimResource::commit_bytes : 0;
  return p;
}

// One run: who is up, what is under way, and the rules that decisions are held to.
class Run final : public engine::Hands {
 public:
  explicit Run(const RunSettings& settings)
      : settings_(settings), random_(settings.seed * 2 + (settings.mode == Mode::liveness ? 1 : 0)),
        schedule_(epoch_of_the_world) {
    journal_ = std::make_unique<WatchedJournal>([this] { return killed_now(); }, [this] { on_step(); });
    report_.seed = settings.seed;
    report_.mode = settings.mode;
    if (settings.pair) {
      make_pair(*settings.pair);
      return;
    }
    const auto faults = Faults::draw(random_);
    const int gateways = 1 + static_cast<int>(random_.below(2));
    const int count = 1 + static_cast<int>(random_.below(3));
    std::vector<Resource> resources;
    for (int i = 0; i < count; ++i) resources.push_back(make_resource("r" + std::to_string(i), random_.chance(0.4), i, gateways));
    for (const auto& r : resources) configured_.push_back({r, make_policy(random_)});
    world_ = std::make_unique<World>(schedule_, random_, faults, resources, gateways);
    for (const auto& set : configured_)
      world_->resources().at(set.resource.id).loss_policy_bytes = set.policy.failover.loss_max_bytes;
  }

  RunReport go() {
    try {
      const Time faults_end = epoch_of_the_world + Millis{90'000};
      const Time end = settings_.pair                     ? epoch_of_the_world + Millis{120'000}
                       : settings_.mode == Mode::liveness ? faults_end + Millis{150'000}
                                                          : faults_end;
      start_controller();
      schedule_.after(Millis{100}, [this] { every_100ms(); });
      schedule_.after(Millis{500}, [this] { every_500ms(); });
      schedule_.after(Millis{1000}, [this] { every_second(); });
      if (settings_.mode == Mode::liveness && !settings_.pair) schedule_.at(faults_end, [this] { heal(); });
      while (!schedule_.empty() && schedule_.next_at() <= end) schedule_.step();
      for (const auto& [id, r] : world_->resources()) {
        report_.failovers += r.failovers;
        report_.lost += r.lost;
      }
      check_replay();
      if (settings_.mode == Mode::liveness) check_converged();
    } catch (const Violation& v) {
      report_.violation = v.what();
    }
    return std::move(report_);
  }

  // --- Hands ---------------------------------------------------------------------------------------------------------

  void start(const Effect& effect) override {
    if (killed_now()) throw ControllerKilled{};
    check_start(effect);
    note(fmt::format("start #{} {} term {}: {}", effect.id, name_of(effect.body), effect.term, effect.why));
    if (std::holds_alternative<Page>(effect.body)) {
      schedule_.after(Millis{1}, [=, this, generation = generation_] { answer(generation, effect, {}); });
      return;
    }
    in_flight_[effect.id] = generation_;
    const auto& f = world_->faults();
    const bool fails = random_.chance(f.effect_fails * 0.5);
    const bool loses_answer = random_.chance(f.answer_lost * 0.5);
    arrive(effect, generation_, delay_of(effect.body), fails, loses_answer);
  }
  void cancel(EffectId id) override { cancelled_.insert(id); }

 private:
  // Two gateways, one resource whose primary fails in a while, and no chance in it but the world's own.
  void make_pair(const PairKill& pair) {
    const auto resource = make_resource("r0", pair.shares_data, 0, 2);
    Policy policy;
    policy.autonomy = Autonomy::act;
    policy.shadowing = {0.5, Millis{30'000}};
    policy.critical = {0.8, Millis{10'000}};
    policy.canary.requests_min = 50;
    policy.hold.lease = Millis{1500};
    policy.counterfactual_max = Millis{20'000};
    configured_.push_back({resource, policy});
    world_ = std::make_unique<World>(schedule_, random_, Faults{}, std::vector{resource}, 2);
    auto& r = world_->resources().at("r0");
    r.flapping = r.workload_is_the_cause = false;
    r.instances.at(resource.primary.id).fails_at = schedule_.now() + Millis{45'000};
  }

  void on_step() {
    ++report_.steps;
    if (!settings_.pair || report_.steps != settings_.pair->step) return;
    auto& g = world_->gateways().at(static_cast<std::size_t>(settings_.pair->gateway));
    ++report_.gateway_crashes;
    note(g.name + " killed");
    world_->gateway_crash(g);
    if (settings_.pair->removed)
      schedule_.after(Millis{1000}, [this, &g] {
        if (g.up) return;
        note(g.name + " taken out of the path");
        world_->take_out(g);
        for (auto& [id, r] : world_->resources())
          deliver(Event{{}, id, Command{Verb::remove_gateway, "sim", "", g.name}});
      });
    if (settings_.pair->down)
      schedule_.after(*settings_.pair->down, [this, &g] {
        note(g.name + " is back");
        world_->gateway_boot(g);
      });
  }

  Millis delay_of(const EffectBody& body) {
    const auto up_to = [&](int ms) { return Millis{1 + static_cast<int>(random_.below(static_cast<std::uint64_t>(ms)))}; };
    if (std::holds_alternative<Provision>(body) || std::holds_alternative<Replicate>(body) ||
        std::holds_alternative<Rejoin>(body) || std::holds_alternative<Retire>(body))
      return up_to(3000);
    // Some outlast a lease; not where one death is to be the only thing that goes wrong.
    return up_to(!settings_.pair && random_.chance(0.1) ? 2500 : 120);
  }

  void arrive(const Effect& effect, int generation, Millis delay, bool fails, bool loses_answer) {
    schedule_.after(delay, [=, this] {
      // Work of a stopped process stands still; that of a dead one is gone, or was on its way and arrives anyway.
      if (generation == generation_ && paused_until_ && schedule_.now() < *paused_until_)
        return arrive(effect, generation, *paused_until_ - schedule_.now() + Millis{1}, fails, loses_answer);
      if (generation != generation_ && !orphans_arrive(effect)) return;
      EffectDone done;
      if (generation == generation_ && cancelled_.contains(effect.id)) {
        done.error = Error{Code::cancelled, "told to stop"};
      } else if (fails) {
        done.error = Error{Code::refused, "simulated refusal"};
      } else {
        done = world_->perform(effect);
        note(fmt::format("world #{} {}: {}", effect.id, name_of(effect.body), done.error ? done.error->what : "done"));
        if (loses_answer) {
          done = {};
          done.error = Error{Code::timeout, "no answer came; it may have happened"};
        }
      }
      schedule_.after(Millis{1 + static_cast<int>(random_.below(5))}, [=, this] { answer(generation, effect, done); });
    });
  }

  bool orphans_arrive(const Effect& effect) {
    return !std::holds_alternative<Provision>(effect.body) && !std::holds_alternative<Replicate>(effect.body) &&
           random_.chance(0.5);
  }

  void answer(int generation, const Effect& effect, EffectDone done) {
    if (generation != generation_) return;
    in_flight_.erase(effect.id);
    done.id = effect.id;
    deliver(Event{{}, effect.resource, std::move(done)});
  }

  // --- the controller --------------------------------------------------------------------------------------------------

  bool killed_now() { return alive_or_starting_ && random_.chance(world_->faults().controller_crash); }

  void start_controller() {
    alive_or_starting_ = true;
    starting_ = true;
    engine_ = std::make_unique<engine::Engine>(schedule_, *journal_, *this, engine::EngineSettings{"sim", 200});
    guarded([this] {
      if (auto started = engine_->start(configured_); !started)
        throw Violation("the engine does not start: " + started.error().what);
    });
    starting_ = false;
  }

  void deliver(Event event) {
    if (!engine_) return;  // nobody listens; observations come again, answers of the dead do not matter
    if (paused_until_ && schedule_.now() < *paused_until_) {
      schedule_.at(*paused_until_ + Millis{1}, [this, event = std::move(event), generation = generation_] {
        if (generation == generation_) deliver(event);
      });
      return;
    }
    ++report_.events;
    digest(event);
    if (!starting_ && random_.chance(world_->faults().controller_pause)) {
      paused_until_ = schedule_.now() + Millis{500 + static_cast<int>(random_.below(8000))};
      note("controller stopped");
    }
    const auto aborts = epoch_to_abort(event);
    const auto resource = event.resource;
    const auto watched = old_primary_of(resource);
    guarded([&] { engine_->handle(std::move(event)); });
    check_verdict(resource, watched);
    // Only an abort that was taken binds: one that was on its way to a controller that died got no answer.
    if (aborts && engine_) {
      aborted_epoch_[resource] = *aborts;
      ++report_.aborted;
    }
  }

  // The old primary that is watched, and how many outcomes there were.
  std::optional<std::pair<InstanceId, std::size_t>> old_primary_of(const ResourceId& resource) const {
    if (resource.empty()) return {};
    const auto& l = engine_->state().resources.at(resource);
    if (l.phase != Phase::watching || !l.old_primary) return {};
    return std::pair{l.old_primary->id, l.outcomes.size()};
  }

  void check_verdict(const ResourceId& resource,
                     const std::optional<std::pair<InstanceId, std::size_t>>& watched) const {
    if (!watched || !engine_) return;
    const auto& l = engine_->state().resources.at(resource);
    if (l.outcomes.size() <= watched->second || !l.outcomes.back().failed_at) return;
    const auto& instances = world_->resources().at(resource).instances;
    const auto old = instances.find(watched->first);
    if (old != instances.end() && !old->second.seen_unwell)
      throw Violation(
          fmt::format("{} was told to have failed, and never did: {}", watched->first, l.outcomes.back().why));
  }

  // The epoch that this event forbids, if it is an abort that comes in time.
  std::optional<std::uint64_t> epoch_to_abort(const Event& event) const {
    const auto* command = std::get_if<Command>(&event.body);
    const bool aborts = command != nullptr && (command->verb == Verb::abort || command->verb == Verb::bypass);
    if (!aborts || event.resource.empty()) return {};
    const auto& l = engine_->state().resources.at(event.resource);
    if (l.phase != Phase::handing_over || decide::past_no_return(l)) return {};
    return l.epoch + 1;
  }

  template <class F>
  void guarded(F&& act) {
    try {
      act();
    } catch (const ControllerKilled&) {
      kill_controller();
    }
  }

  void kill_controller() {
    ++report_.controller_crashes;
    note("controller killed");
    engine_.reset();
    alive_or_starting_ = false;
    starting_ = false;
    paused_until_.reset();
    ++generation_;
    cancelled_.clear();
    journal_->crash();
    schedule_.after(Millis{200 + static_cast<int>(random_.below(6000))}, [this] {
      if (!engine_) start_controller();
    });
  }

  // --- what time brings --------------------------------------------------------------------------------------------------

  void every_100ms() {
    for (auto& [id, r] : world_->resources()) world_->client_write(r);
    if (engine_ && !(paused_until_ && schedule_.now() < *paused_until_)) guarded([this] { engine_->tick(); });
    schedule_.after(Millis{100}, [this] { every_100ms(); });
  }

  void every_500ms() {
    for (auto& [id, r] : world_->resources()) {
      world_->fates(r);
      deliver(Event{{}, id, OutlookMade{world_->outlook(r)}});
      deliver(Event{{}, id, world_->evidence(r)});
      if (!engine_) continue;
      const auto& l = engine_->state().resources.at(id);
      if (l.phase == Phase::watching && l.old_primary)
        if (auto seen = world_->counterfactual(r, *l.old_primary)) deliver(Event{{}, id, *seen});
    }
    schedule_.after(Millis{500}, [this] { every_500ms(); });
  }

  void every_second() {
    const auto& f = world_->faults();
    for (auto& g : world_->gateways()) {
      if (g.up && random_.chance(f.gateway_crash)) {
        ++report_.gateway_crashes;
        note(g.name + " killed");
        world_->gateway_crash(g);
        const bool removed = random_.chance(f.operator_acts);
        schedule_.after(Millis{50 + static_cast<int>(random_.below(900))}, [this, &g, removed] {
          if (g.up) return;
          if (!removed) return world_->gateway_boot(g);
          note(g.name + " taken out of the path");
          world_->take_out(g);
          schedule_.after(Millis{static_cast<int>(random_.below(20'000))}, [this, &g] {
            if (!g.up) world_->gateway_boot(g);
          });
        });
      }
      if (g.reachable && random_.chance(f.gateway_cut)) {
        g.reachable = false;
        schedule_.after(Millis{200 + static_cast<int>(random_.below(5000))}, [&g] { g.reachable = true; });
      }
    }
    for (auto& [id, r] : world_->resources()) {
      if (random_.chance(f.outsider)) world_->outsider_write(r);
      for (auto& [name, i] : r.instances)
        if (i.alive && random_.chance(i.writable ? f.primary_dies : f.shadow_dies)) world_->die(r, i);
      for (auto& [name, i] : r.instances)
        if (i.alive && i.writable && !r.resource.traits.shares_data && random_.chance(f.primary_hangs))
          i.hangs_until = schedule_.now() + Millis{1000 + static_cast<int>(random_.below(20'000))};
      if (random_.chance(f.misjudged))
        misjudged_until_[id] = schedule_.now() + Millis{1000 + static_cast<int>(random_.below(8000))};
      if (!r.resource.traits.shares_data) look_at_current(id, r);
      if (random_.chance(f.operator_acts)) operate(id);
    }
    schedule_.after(Millis{1000}, [this] { every_second(); });
  }

  // As the watch does: dead by two views at two looks in a row, said at each; alive, when that is news.
  void look_at_current(const ResourceId& id, SimResource& r) {
    if (!engine_) return;
    const auto current = engine_->state().resources.at(id).current.id;
    const auto found = r.instances.find(current);
    const bool answers = found != r.instances.end() && world_->answers(found->second);
    const bool misjudged = misjudged_until_.contains(id) && schedule_.now() < misjudged_until_.at(id);
    auto& seen = seen_[id];
    if (seen.generation != generation_) seen = {.generation = generation_};
    if (answers && !misjudged) {
      seen.dead_looks = 0;
      if (seen.told_alive == current) return;
      seen.told_alive = current;
      return deliver(Event{{}, id, InstanceSeen{current, true, "process and probe are up"}});
    }
    if (++seen.dead_looks < 2) return;
    if (found != r.instances.end()) found->second.seen_unwell = true;
    seen.told_alive.clear();
    deliver(Event{{}, id, InstanceSeen{current, false, "nobody answers"}});
  }

  void operate(const ResourceId& id) {
    static constexpr Verb verbs[] = {Verb::handover, Verb::pause,      Verb::resume,    Verb::resume,
                                     Verb::abort,    Verb::rollback,   Verb::approve,   Verb::approve,
                                     Verb::bypass,   Verb::end_bypass, Verb::end_bypass, Verb::failover,
                                     Verb::failover};
    const auto verb = verbs[random_.below(std::size(verbs))];
    note(fmt::format("operator: {} {}", to_string(verb), id));
    if (verb == Verb::failover) {
      constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
      const std::uint64_t loss = random_.chance(0.4) ? 0 : random_.chance(0.5) ? 3 * SimResource::commit_bytes : all;
      auto& accepted = world_->resources().at(id).loss_accepted_bytes;
      if (engine_) accepted = std::max(accepted, loss);
      return deliver(Event{{}, id, Command{verb, "sim", "", "", loss}});
    }
    deliver(Event{{}, random_.chance(0.9) || (verb != Verb::pause && verb != Verb::resume) ? id : "", Command{verb, "sim", ""}});
  }

  void heal() {
    note("healed");
    world_->heal();
    paused_until_.reset();
    if (!engine_) start_controller();
    deliver(Event{{}, "", Command{Verb::resume, "sim", ""}});
    for (const auto& set : configured_) {
      deliver(Event{{}, set.resource.id, Command{Verb::resume, "sim", ""}});
      deliver(Event{{}, set.resource.id, Command{Verb::end_bypass, "sim", ""}});
    }
  }

  // --- what decisions are held to ----------------------------------------------------------------------------------------

  void check_start(const Effect& effect) {
    const bool page = std::holds_alternative<Page>(effect.body);
    if (!page && !journal_->intent_is_durable(effect.id))
      throw Violation(fmt::format("effect #{} {} started before its intent was durable", effect.id, name_of(effect.body)));
    if (starting_ || !engine_) return;
    const auto it = provisions_.find(effect.id);
    if (std::holds_alternative<Provision>(effect.body) && it == provisions_.end()) {
      provisions_.insert(effect.id);
      ++provisions_of_[effect.resource];
      const auto& policy = policy_of(effect.resource);
      if (provisions_of_[effect.resource] > policy.budget.provisions_per_day) throw Violation("provision budget overrun");
    }
    if (std::holds_alternative<Hold>(effect.body)) {
      aborted_epoch_.erase(effect.resource);
      ++report_.handovers;
      if (engine_->state().resources.at(effect.resource).bypassed)
        throw Violation("a handover while clients come past the gateways");
    }
    if (const auto* promote = std::get_if<Promote>(&effect.body)) {
      const auto aborted = aborted_epoch_.find(effect.resource);
      const bool forced = engine_->state().resources.at(effect.resource).forward_only;
      if (aborted != aborted_epoch_.end() && aborted->second == promote->next_epoch && !forced)
        throw Violation("promotion after an abort that came before the point of no return");
    }
  }

  const Policy& policy_of(const ResourceId& id) const {
    return std::find_if(configured_.begin(), configured_.end(), [&](const PolicySet& s) { return s.resource.id == id; })->policy;
  }

  void check_replay() {
    if (!engine_) return;
    decide::State state;
    for (const auto& event : journal_->events()) state = decide::step(std::move(state), event).state;
    if (state != engine_->state()) {
      const auto a = decide::encode_state(state), b = decide::encode_state(engine_->state());
      const auto at = static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
      throw Violation(fmt::format("replaying the journal gives another state, from: ...{} instead of ...{}",
                                  a.substr(at > 60 ? at - 60 : 0, 160), b.substr(at > 60 ? at - 60 : 0, 160)));
    }
    for (const auto& [id, l] : state.resources) report_.outcomes += static_cast<int>(l.outcomes.size());
  }

  void check_converged() {
    if (!engine_) throw Violation("liveness: no controller after the faults ended");
    for (auto& [id, r] : world_->resources()) {
      const auto& l = engine_->state().resources.at(id);
      const auto since = schedule_.now() - std::max(l.phase_since, l.step_since);
      const bool passing = l.phase == Phase::handing_over || l.phase == Phase::provisioning ||
                           l.phase == Phase::replicating || l.phase == Phase::withdrawing || l.phase == Phase::retiring;
      const auto current = r.instances.find(l.current.id);
      const bool can_serve = current != r.instances.end() && current->second.alive;
      // Clients wait while a handover goes on, and a fenced primary can be started again.
      const bool can_go_back = can_serve || (current != r.instances.end() && current->second.fenced);
      // What waits for a gateway that never comes back waits for ever, and clients of the other one do not notice.
      const auto& gateways = world_->gateways();
      const bool one_is_down = std::any_of(gateways.begin(), gateways.end(), [](const SimGateway& g) { return !g.up; });
      if (passing && !one_is_down && since > Millis{30'000} &&
          (l.phase == Phase::handing_over ? can_go_back : can_serve))
        throw Violation(fmt::format("liveness: {} is stuck in {} ({}) for {} ms: {}", id, to_string(l.phase),
                                    to_string(l.step), since.count(), l.blocked_why));
      for (const auto& g : world_->gateways()) {
        const auto& gate = g.gates.at(id);
        if (!g.up) continue;
        if (l.phase != Phase::handing_over && gate.behind)
          throw Violation(fmt::format("liveness: {} was never told who serves {}", g.name, id));
        if (l.phase != Phase::handing_over && gate.sealed_for)
          throw Violation(fmt::format("liveness: {} stays sealed while {} is {}", g.name, id, to_string(l.phase)));
        if (l.phase != Phase::handing_over && gate.table.epoch != l.epoch)
          throw Violation(fmt::format("liveness: {} is at epoch {}, {} at {}", g.name, gate.table.epoch, id, l.epoch));
      }
      report_.epoch = l.epoch;
      if (can_serve && (l.phase != Phase::handing_over || one_is_down) &&
          (!r.last_served || schedule_.now() - *r.last_served > Millis{3000}))
        throw Violation(fmt::format("liveness: nobody is served by {} although {} is up", id, l.current.id));
    }
  }

  // --- telling --------------------------------------------------------------------------------------------------------------

  void note(std::string text) {
    if (settings_.trace)
      report_.trace.push_back(fmt::format("{:>8} {}", to_ms(schedule_.now()) - to_ms(epoch_of_the_world), text));
  }
  void digest(const Event& event) {
    const auto mix = [&](std::uint64_t v) { report_.digest = (report_.digest ^ v) * 0x100000001b3ULL; };
    mix(event.body.index());
    mix(static_cast<std::uint64_t>(to_ms(schedule_.now())));
    if (const auto* done = std::get_if<EffectDone>(&event.body)) mix(done->id * 2 + (done->error ? 1 : 0));
  }

  const RunSettings settings_;
  Random random_;
  Schedule schedule_;
  std::vector<PolicySet> configured_;
  std::unique_ptr<World> world_;
  std::unique_ptr<WatchedJournal> journal_;
  std::unique_ptr<engine::Engine> engine_;
  bool alive_or_starting_ = false;
  bool starting_ = false;
  int generation_ = 0;
  std::optional<Time> paused_until_;
  std::map<EffectId, int> in_flight_;
  std::set<EffectId> cancelled_;
  std::set<EffectId> provisions_;
  std::map<ResourceId, int> provisions_of_;
  std::map<ResourceId, std::uint64_t> aborted_epoch_;
  struct Seen {
    int generation = 0;
    int dead_looks = 0;
    InstanceId told_alive;
  };
  std::map<ResourceId, Seen> seen_;
  std::map<ResourceId, Time> misjudged_until_;
  RunReport report_;
};

}  // namespace

RunReport run(const RunSettings& settings) { return Run(settings).go(); }

}  // namespace foreshadow::sim
