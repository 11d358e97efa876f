#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "domain/absent.hpp"

namespace foreshadow::sim {
namespace {

EffectDone failed(Code code, std::string what) {
  EffectDone done;
  done.error = Error{code, std::move(what)};
  return done;
}
EffectDone told(std::string detail) {
  EffectDone done;
  done.detail = std::move(detail);
  return done;
}

}  // namespace

World::World(Schedule& schedule, Random& random, const Faults& faults, std::vector<Resource> resources, int gateways)
    : schedule_(schedule), random_(random), faults_(faults) {
  for (int i = 0; i < gateways; ++i) gateways_.push_back({"gw" + std::to_string(i), 1, true, true, {}});
  for (auto& resource : resources) {
    SimResource r;
    r.resource = resource;
    SimInstance primary;
    primary.self = resource.primary;
    primary.writable = true;
    r.flapping = random_.chance(0.15);
    r.workload_is_the_cause = random_.chance(0.1);
    if (random_.chance(0.75)) primary.fails_at = schedule_.now() + Millis{20'000 + static_cast<int>(random_.below(60'000))};
    r.instances[resource.primary.id] = primary;
    for (auto& g : gateways_) {
      auto& gate = g.gates[resource.id];
      gate.table.resource = resource.id;
      gate.table.current = resource.primary;
    }
    resources_[resource.id] = std::move(r);
  }
}

void World::broken(const std::string& what) const {
  throw Violation(fmt::format("at {} ms: {}", to_ms(schedule_.now()), what));
}

SimInstance* World::find(SimResource& r, const InstanceId& id) {
  const auto it = r.instances.find(id);
  return it == r.instances.end() ? nullptr : &it->second;
}

proxy::HoldMachine::Now World::mono() const {
  return proxy::HoldMachine::Now{} + std::chrono::milliseconds{to_ms(schedule_.now())};
}

void World::settle_hold(SimGateway::Gate& gate) {
  const bool in_flight = gate.drained_at && schedule_.now() < *gate.drained_at;
  gate.hold.advance(mono(), in_flight ? 1 : 0);
}

bool World::agent_obeys(SimResource& r, std::uint64_t term, std::uint64_t epoch) {
  if (term < r.agent_term || epoch < r.agent_epoch) return false;
  r.agent_term = term;
  r.agent_epoch = epoch;
  return true;
}

// --- effects ------------------------------------------------------------------------------------------------------

struct World::Do {
  World& w;
  SimResource& r;
  const Effect& effect;

  EffectDone operator()(const Provision& e) const {
    const auto key = provision_key(effect.resource, effect.id);
    for (auto& [id, i] : r.instances)
      if (i.key == key) return with(i.self);
    if (w.random_.chance(w.faults_.provisioner_garbage)) {
      if (w.random_.chance(0.5)) return with(e.primary);
      return failed(Code::invalid, "the provisioner printed garbage");
    }
    SimInstance shadow;
    const int n = ++r.made;
    shadow.self.id = fmt::format("{}-shadow-{}", effect.resource, n);
    shadow.self.endpoint = {"127.0.0.1", static_cast<std::uint16_t>(20'000 + n)};
    shadow.key = key;
    shadow.made_by_us = true;
    if (r.workload_is_the_cause) shadow.fails_at = w.schedule_.now() + Millis{30'000};
    const auto self = shadow.self;
    r.instances[self.id] = std::move(shadow);
    return with(self);
  }
  static EffectDone with(const Instance& instance) {
    EffectDone done;
    done.instance = instance;
    return done;
  }

  EffectDone operator()(const Replicate& e) const {
    auto* primary = w.find(r, e.primary.id);
    auto* shadow = w.find(r, e.shadow.id);
    if (!primary || !shadow || !w.answers(*primary)) return failed(Code::unreachable, "no primary to copy from");
    if (shadow->writable && !r.resource.traits.shares_data) w.broken("a writable instance was made to follow another");
    shadow->alive = true;
    shadow->follows = e.primary.id;
    shadow->data = primary->data;
    return told("following");
  }

  // As the driver does: all gateways are asked, whatever the others say; the first error is the answer.
  template <class Ask>
  EffectDone ask_all(Ask ask) const {
    EffectDone done;
    std::optional<Error> error;
    for (auto& g : w.gateways_) {
      Result<GatewayAck> ack = GatewayAck{g.name, kOutOfPath};
      if (w.answers(g))
        ack = ask(g, g.gates[effect.resource]);
      else if (!w.is_out(g, effect.resource))
        ack = fail(Code::unreachable, g.name + " does not answer");
      if (ack)
        done.acks.push_back(*ack);
      else if (!error)
        error = ack.error();
    }
    if (error) return failed(error->code, error->what);
    return done;
  }

  EffectDone operator()(const foreshadow::Steer& e) const {
    return ask_all([&](SimGateway& g, SimGateway::Gate& gate) -> Result<GatewayAck> {
      w.settle_hold(gate);
      auto table = e.table;
      table.term = effect.term;
      const auto admitted = proxy::admit(
          {gate.table, gate.term, gate.behind ? gate.behind : gate.sealed_for, r.resource.segments}, table);
      if (!admitted) return fail(admitted.error().code, g.name + ": " + admitted.error().what);
      gate.term = std::max(gate.term, effect.term);
      if (*admitted != proxy::Admission::same) gate.table = table;
      if (*admitted == proxy::Admission::handover || (gate.behind && table.epoch >= *gate.behind)) {
        gate.hold.open();
        gate.sealed_for.reset();
        gate.behind.reset();
      }
      return g.ack();
    });
  }

  EffectDone operator()(const Prepare& e) const {
    const auto* primary = w.find(r, e.primary.id);
    const auto* shadow = w.find(r, e.shadow.id);
    if (!primary || !shadow || !w.answers(*primary) || !shadow->alive) return failed(Code::unreachable, "one side is dead");
    if (w.random_.chance(w.faults_.effect_fails)) return failed(Code::refused, "an unlogged table has rows");
    if (w.random_.chance(w.faults_.effect_fails)) return failed(Code::timeout, "the checkpoint took too long");
    return told("prepared");
  }

  EffectDone operator()(const Hold& e) const {
    auto done = ask_all([&](SimGateway& g, SimGateway::Gate& gate) -> Result<GatewayAck> {
      w.settle_hold(gate);
      if (effect.term < gate.term || e.next_epoch <= gate.table.epoch) return fail(Code::conflict, "stale");
      if (gate.behind) return fail(Code::refused, g.name + " waits for the current table");
      gate.term = effect.term;
      FS_CHECK(gate.hold.begin(e.next_epoch, e.policy, w.mono()));
      // One that is dead is not waited for.
      if (!e.abandon && w.random_.chance(w.faults_.drain_slow))
        return fail(Code::timeout, "work in flight did not end within the budget");
      gate.drained_at.reset();
      w.settle_hold(gate);
      return g.ack();
    });
    if (done.error)
      for (auto& g : w.gateways_)
        if (auto& gate = g.gates[effect.resource]; w.answers(g) && !gate.behind) (void)gate.hold.release(e.next_epoch);
    return done;
  }

  EffectDone operator()(const ProveEqual& e) const {
    auto* primary = w.find(r, e.primary.id);
    auto* shadow = w.find(r, e.shadow.id);
    if (!primary || !shadow || !w.answers(*primary) || !shadow->alive) return failed(Code::unreachable, "one side is dead");
    if (!r.resource.traits.shares_data) {
      if (shadow->follows != e.primary.id) return failed(Code::refused, "the shadow does not follow");
      shadow->data = primary->data;
    }
    EffectDone done;
    done.proof = std::to_string(primary->data);
    return done;
  }

  EffectDone operator()(const Seal& e) const {
    for (auto& g : w.gateways_)
      if (std::none_of(e.acks.begin(), e.acks.end(), [&](const GatewayAck& a) { return a.gateway == g.name; }))
        return failed(Code::refused, g.name + " has not acknowledged the hold");
    auto done = ask_all([&](SimGateway& g, SimGateway::Gate& gate) -> Result<GatewayAck> {
      w.settle_hold(gate);
      if (effect.term < gate.term || e.next_epoch <= gate.table.epoch) return fail(Code::conflict, "stale");
      if (gate.behind) return fail(Code::refused, g.name + " waits for the current table");
      gate.term = effect.term;
      if (gate.sealed_for == e.next_epoch) return g.ack();
      if (std::none_of(e.acks.begin(), e.acks.end(), [&](const GatewayAck& a) { return a == g.ack(); }))
        return fail(Code::conflict, g.name + " is another process now");
      FS_CHECK(gate.hold.seal(e.next_epoch, w.mono()));
      gate.sealed_for = e.next_epoch;
      return g.ack();
    });
    return done.error ? done : told("sealed");
  }

  enum class Silent { refused, tolerated };
  Result<void> all_sealed(std::uint64_t epoch, Silent silent) const {
    for (auto& g : w.gateways_) {
      const auto& gate = g.gates[effect.resource];
      if (gate.behind) continue;
      if (!w.answers(g) && silent == Silent::tolerated) continue;
      if (!w.answers(g)) return fail(Code::unreachable, g.name + " does not answer");
      if (gate.sealed_for != epoch) return fail(Code::conflict, g.name + " is not sealed");
    }
    return {};
  }

  EffectDone operator()(const Fence& e) const {
    if (auto sealed = all_sealed(e.next_epoch, Silent::refused); !sealed)
      return failed(sealed.error().code, sealed.error().what);
    if (!w.agent_obeys(r, effect.term, e.next_epoch)) return failed(Code::conflict, "a newer controller has been here");
    auto* primary = w.find(r, e.primary.id);
    if (!primary) return failed(Code::unreachable, "no such instance");
    primary->fenced = true;
    // What it was found to have may not be all that it has by now.
    if (primary->alive) r.assessed_epoch = 0;
    if (w.random_.chance(w.faults_.effect_fails)) return failed(Code::io, "killed, but not proven: processes remain");
    primary->alive = false;
    primary->writable = false;
    primary->hangs_until.reset();
    r.revived_epoch = 0;
    return told("fenced");
  }

  EffectDone operator()(const CheckFenced& e) const {
    auto* primary = w.find(r, e.primary.id);
    if (!primary) return failed(Code::io, "the old log is gone");
    if (primary->alive) return failed(Code::refused, "not fenced");
    if (w.random_.chance(w.faults_.effect_fails / 2)) return failed(Code::io, "the old log cannot be read");
    if (primary->data > std::stoull(e.proof)) return failed(Code::conflict, "a commit was found past the proof");
    return told("nothing past the proof");
  }

  EffectDone operator()(const Assess& e) const {
    if (!w.agent_obeys(r, effect.term, e.next_epoch)) return failed(Code::conflict, "a newer controller has been here");
    if (r.promoted_epoch >= e.next_epoch) return failed(Code::conflict, "a promotion was begun");
    if (e.loss_max_bytes > std::max(r.loss_policy_bytes, r.loss_accepted_bytes))
      w.broken(fmt::format("{} bytes may be lost, and nobody has accepted that", e.loss_max_bytes));
    auto* primary = w.find(r, e.primary.id);
    auto* shadow = w.find(r, e.shadow.id);
    if (!primary || primary->alive || r.revived_epoch == e.next_epoch) return failed(Code::refused, "not fenced");
    if (!shadow || !shadow->alive) return failed(Code::unreachable, "the shadow is dead");
    if (shadow->writable) return failed(Code::conflict, "the shadow takes writes");
    const auto lacks = primary->data - std::min(primary->data, shadow->data);
    const bool whole = !primary->unreadable && !primary->recycled;
    if (whole && w.random_.chance(w.faults_.effect_fails / 2)) {
      shadow->data += lacks / 2;
      return failed(Code::timeout, "the agent died with half of it brought over");
    }
    constexpr auto unknown = std::numeric_limits<std::uint64_t>::max();
    if (whole) shadow->data += lacks;
    const auto lost = whole ? 0 : primary->unreadable ? unknown : lacks;
    const auto lost_bytes = lost == unknown ? unknown : lost * SimResource::commit_bytes;
    if (lost_bytes > e.loss_max_bytes) return failed(Code::refused, fmt::format("{} bytes are lost", lost_bytes));
    r.assessed_epoch = e.next_epoch;
    r.told_lost = lost;
    auto done = told(fmt::format("{} commits are lost", lost));
    done.facts["lost_bytes"] = std::to_string(lost_bytes);
    return done;
  }

  EffectDone operator()(const Promote& e) const {
    if (auto sealed = all_sealed(e.next_epoch, Silent::tolerated); !sealed)
      return failed(sealed.error().code, sealed.error().what);
    if (!w.agent_obeys(r, effect.term, e.next_epoch)) return failed(Code::conflict, "a newer controller has been here");
    auto* primary = w.find(r, e.primary.id);
    auto* shadow = w.find(r, e.shadow.id);
    if (r.revived_epoch == e.next_epoch) return failed(Code::refused, "the fence was given up");
    if (!shadow || !shadow->alive) return failed(Code::unreachable, "the shadow is dead");
    if (primary && primary->alive) w.broken("promotion while the old primary runs");
    const bool assessed = r.assessed_epoch == e.next_epoch;
    const auto missing = r.acknowledged - std::min(r.acknowledged, shadow->data);
    if (missing > (assessed ? r.told_lost : 0))
      w.broken(fmt::format("promotion of a shadow with {} of {} acknowledged commits, and {} were told to be lost",
                           shadow->data, r.acknowledged, assessed ? r.told_lost : 0));
    if (r.promoted_epoch < e.next_epoch) {
      if (assessed) ++r.failovers;
      if (assessed && r.told_lost > 0 && primary) r.relics.insert(primary->self.id);
      r.lost += missing;
      r.acknowledged -= missing;
      r.loss_accepted_bytes = 0;
    }
    shadow->writable = true;
    shadow->follows.reset();
    r.promoted_epoch = e.next_epoch;
    return told("promoted");
  }

  EffectDone operator()(const Release& e) const {
    auto done = ask_all([&](SimGateway& g, SimGateway::Gate& gate) -> Result<GatewayAck> {
      w.settle_hold(gate);
      if (effect.term < gate.term) return fail(Code::conflict, "stale term");
      gate.term = effect.term;
      if (gate.table.epoch >= e.next_epoch) return fail(Code::conflict, "that epoch is in force");
      if (gate.behind) return g.ack();
      if (gate.sealed_for) {
        if (*gate.sealed_for != e.next_epoch) return fail(Code::conflict, "sealed for another epoch");
        if (r.promoted_epoch >= e.next_epoch) w.broken("a seal was given up after the promotion it protects");
        gate.sealed_for.reset();
      }
      FS_CHECK(gate.hold.release(e.next_epoch));
      return g.ack();
    });
    return done.error ? done : told("released");
  }

  EffectDone operator()(const Revive& e) const {
    if (!w.agent_obeys(r, effect.term, e.next_epoch)) return failed(Code::conflict, "a newer controller has been here");
    if (r.promoted_epoch >= e.next_epoch) return failed(Code::refused, "the shadow was promoted");
    r.revived_epoch = e.next_epoch;
    auto* primary = w.find(r, e.primary.id);
    if (!primary) return failed(Code::unreachable, "no such instance");
    r.assessed_epoch = 0;
    if (!primary->alive && primary->unreadable) return failed(Code::io, "its disk cannot be read");
    if (!primary->alive && w.random_.chance(w.faults_.revive_fails)) return failed(Code::io, "no space left on device");
    primary->alive = primary->writable = true;
    primary->hangs_until.reset();
    primary->fenced = false;
    return told("runs again");
  }

  EffectDone operator()(const Rejoin& e) const {
    if (!w.agent_obeys(r, effect.term, e.epoch)) return failed(Code::conflict, "a newer controller has been here");
    auto* old = w.find(r, e.old_primary.id);
    auto* primary = w.find(r, e.primary.id);
    if (!old || !primary || !primary->alive) return failed(Code::unreachable, "one side is dead");
    if (old->writable && old->alive) w.broken("a running primary was told to follow");
    if (r.relics.contains(old->self.id)) w.broken("the only disk with what was lost was overwritten");
    old->alive = true;
    old->follows = e.primary.id;
    old->data = std::min(old->data, primary->data);
    return told("follows");
  }

  // A gateway that was taken out leads nobody anywhere, whatever its last table says.
  bool serves(const Instance& instance) const {
    return std::any_of(w.gateways_.begin(), w.gateways_.end(), [&](const SimGateway& g) {
      const auto& gate = g.gates.at(effect.resource);
      return !gate.behind && gate.table.current.id == instance.id;
    });
  }

  EffectDone operator()(const Retire& e) const {
    auto* target = w.find(r, e.instance.id);
    if (r.relics.contains(e.instance.id)) w.broken("the only disk with what was lost was given back");
    if (e.rebuild) {
      if (!target) return failed(Code::refused, "no such instance");
      if (serves(e.instance)) w.broken("rebuilt an instance that serves");
      target->alive = true;
      target->sick = target->seen_unwell = false;
      target->follows = e.serving.id;
      return with(target->self);
    }
    if (e.key.empty()) return failed(Code::refused, "not ours");
    if (!target) return told("gone already");
    if (!target->made_by_us || target->key != e.key) w.broken("destroyed an instance that was not made under that key");
    if (serves(e.instance)) w.broken("destroyed an instance that serves");
    if (target->writable && !r.resource.traits.shares_data) w.broken("destroyed the writable primary");
    r.instances.erase(e.instance.id);
    return told("destroyed");
  }

  EffectDone operator()(const Page&) const { return {}; }
};

EffectDone World::perform(const Effect& effect) {
  const auto it = resources_.find(effect.resource);
  if (it == resources_.end()) return failed(Code::refused, "no such resource");
  auto done = std::visit(Do{*this, it->second, effect}, effect.body);
  check(it->second);
  return done;
}

// --- what happens by itself ------------------------------------------------------------------------------------------

void World::client_write(SimResource& r) {
  for (auto& g : gateways_) {
    if (!g.up) continue;  // the client's connection is refused: an honest error
    auto& gate = g.gates[r.resource.id];
    settle_hold(gate);
    if (gate.sealed_for || gate.hold.parks()) continue;  // parked
    auto* target = find(r, gate.table.current.id);
    if (!target || !answers(*target)) {
      ++r.refused;
      continue;
    }
    if (r.resource.traits.shares_data) {
      ++r.served;
      r.last_served = schedule_.now();
      continue;
    }
    if (!target->writable) {
      ++r.refused;
      continue;
    }
    r.acknowledged = std::max(r.acknowledged, ++target->data);
    ++r.served;
    r.last_served = schedule_.now();
    for (auto& [id, follower] : r.instances)
      if (follower.alive && follower.follows == target->self.id && random_.chance(0.7)) follower.data = target->data;
  }
  check(r);
}

void World::outsider_write(SimResource& r) {
  if (r.resource.traits.shares_data) return;
  for (auto& [id, i] : r.instances)
    if (answers(i) && i.writable) r.acknowledged = std::max(r.acknowledged, ++i.data);
  check(r);
}

void World::die(const SimResource& r, SimInstance& i) {
  i.alive = false;
  if (r.resource.traits.shares_data) return;
  i.unreadable = random_.chance(faults_.disk_unreadable);
  i.recycled = random_.chance(faults_.log_recycled);
}

void World::gateway_crash(SimGateway& g) {
  g.up = false;
}

void World::gateway_boot(SimGateway& g) {
  g.up = true;
  ++g.incarnation;
  for (auto& [id, gate] : g.gates) {
    // Table, term and seal were on disk; a hold was not, and its lease died with the process that granted it.
    gate.hold = {};
    if (gate.sealed_for) gate.hold.boot_sealed(*gate.sealed_for, Millis{5000});
    if (gate.behind) gate.hold.boot_sealed(*gate.behind, Millis{5000});
    gate.drained_at.reset();
  }
}

void World::take_out(SimGateway& g) {
  if (g.up) broken(g.name + " was taken out while it runs");
  for (auto& [id, gate] : g.gates) {
    if (!gate.behind) gate.behind = gate.table.epoch;
    gate.sealed_for.reset();
  }
}

void World::fates(SimResource& r) {
  const auto now = schedule_.now();
  for (auto& [id, i] : r.instances) {
    if (i.fails_at && now >= *i.fails_at && i.alive) {
      // Where no data is its own, it may only answer badly from now on.
      i.sick = r.resource.traits.shares_data && random_.chance(0.5);
      if (!i.sick) die(r, i);
      // A supervisor of the user's brings a dead primary back after a while, unless it was fenced.
      i.fails_at.reset();
    }
    if (!i.alive && !i.fenced && i.writable && !i.unreadable && random_.chance(0.05)) i.alive = true;
  }
}

// That of the newest of those gateways that clients come through: one that is down, or out of the path, has an old one.
const RouteTable* World::table_of(const SimResource& r) const {
  const RouteTable* newest = nullptr;
  for (const auto& g : gateways_) {
    const auto& gate = g.gates.at(r.resource.id);
    if (!answers(g) || gate.behind) continue;
    if (!newest || std::pair(gate.table.epoch, gate.table.version) > std::pair(newest->epoch, newest->version))
      newest = &gate.table;
  }
  return newest;
}

Outlook World::outlook(SimResource& r) {
  Outlook o;
  o.resource = r.resource.id;
  o.at = schedule_.now();
  if (random_.chance(faults_.unknown_outlook)) return o;
  o.known = true;
  const auto* known = table_of(r);
  auto* current = find(r, (known ? *known : gateways_.front().gates[r.resource.id].table).current.id);
  std::optional<Millis> left;
  if (current && current->fails_at) left = *current->fails_at - schedule_.now();
  if (r.flapping && random_.chance(0.3)) left = Millis{static_cast<int>(random_.below(20'000))};
  for (const auto horizon : {Millis{10'000}, Millis{30'000}}) {
    double p = 0.02;
    if (left) p = 1 / (1 + std::exp((to_seconds(*left) - to_seconds(horizon)) / 2));
    if (current && (!current->alive || current->sick)) p = 1;
    o.scores.push_back({horizon, std::clamp(p + 0.02 * random_.normal(), 0.0, 1.0), 0, 1});
  }
  if (o.scores[1].score < o.scores[0].score) o.scores[1].score = o.scores[0].score;
  o.time_to_limit = left;
  o.degraded = current && (!current->alive || current->sick);
  if (r.workload_is_the_cause) o.handover_helps = Helps::no;
  return o;
}

Evidence World::evidence(SimResource& r) {
  Evidence e;
  for (auto& g : gateways_)
    if (answers(g)) e.gateways.push_back(g.ack());
    else if (is_out(g, r.resource.id))
      e.gateways.push_back({g.name, kOutOfPath});
  for (auto& g : gateways_)
    if (const auto& gate = g.gates[r.resource.id]; answers(g) && (gate.behind || gate.sealed_for))
      e.closed.push_back(g.name);
  if (random_.chance(0.02)) e.unmovable.push_back({"temporary table", 1});
  const auto* table = table_of(r);
  if (!table) return e;
  // A standby in waiting is in no table, and follows all the same.
  const auto* leader = find(r, table->current.id);
  for (const auto& [id, i] : r.instances)
    if (i.alive && i.follows == table->current.id && leader && answers(*leader)) e.lag = Millis{100};
  for (const auto& route : table->routes) {
    SegmentEvidence s;
    s.segment = route.segment;
    s.current_requests = 40;
    if (const auto* current = find(r, table->current.id); current && current->sick) s.current_errors = 8;
    auto* other = table->other ? find(r, table->other->id) : nullptr;
    if (other && (!other->alive || other->sick)) other->seen_unwell = true;
    if (route.mirror > 0 && other) {
      s.mirrored = 40;
      s.mirror_errors = !other->alive ? 40 : other->sick ? 8 : 0;
    }
    if (route.other_weight > 0 && other) {
      s.other_requests = static_cast<std::uint64_t>(40 * route.other_weight) + 1;
      s.other_errors = other->alive ? 0 : s.other_requests;
    }
    e.segments.push_back(s);
  }
  return e;
}

std::optional<CounterfactualSeen> World::counterfactual(SimResource& r, const Instance& old) {
  auto* i = find(r, old.id);
  if (!i) return std::nullopt;
  if (!i->alive) i->seen_unwell = true;
  return CounterfactualSeen{i->alive, {}, 1.0, "simulated"};
}

// --- invariants ---------------------------------------------------------------------------------------------------------

void World::check(const SimResource& r) const {
  if (r.resource.traits.shares_data) return;
  int writers = 0;
  for (const auto& [id, i] : r.instances) writers += i.alive && i.writable ? 1 : 0;
  if (writers > 1) broken(fmt::format("{} writable primaries of {}", writers, r.resource.id));
  for (const auto& g : gateways_) {
    const auto& gate = g.gates.at(r.resource.id);
    if (!g.up || gate.sealed_for || gate.hold.parks()) continue;
    // An open gate whose table names an instance that was fenced for a promotion that has happened would lose writes.
    const auto it = r.instances.find(gate.table.current.id);
    if (it != r.instances.end() && r.promoted_epoch > gate.table.epoch)
      broken(fmt::format("{} is open to the old side of {} after promotion for epoch {}", g.name, r.resource.id, r.promoted_epoch));
  }
  for (const auto& [id, i] : r.instances)
    if (i.alive && i.writable && i.data < r.acknowledged)
      broken(fmt::format("{} is writable with {} of {} acknowledged commits", id, i.data, r.acknowledged));
}

void World::heal() {
  faults_ = Faults{};
  for (auto& g : gateways_) {
    if (!g.up) gateway_boot(g);
    g.reachable = true;
  }
}

}  // namespace foreshadow::sim
