// The simulated truth behind every port: instances with data, gateways with the real admission rules and the real hold
// machine, an agent with its book of epochs, clients that remember what was acknowledged. It checks the invariants of
// docs/ARCHITECTURE.md at every act and stops the run at the first that breaks.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "domain/effect.hpp"
#include "domain/event.hpp"
#include "proxy/admission.hpp"
#include "proxy/hold_machine.hpp"
#include "sim/chance.hpp"
#include "sim/schedule.hpp"

namespace foreshadow::sim {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct SimInstance {
  Instance self;
  bool alive = true;
  bool writable = false;   // as the database itself sees it
  bool fenced = false;     // standby.signal written
  std::uint64_t data = 0;  // commits it has
  std::optional<InstanceId> follows;
  bool made_by_us = false;
  std::string key;
  std::optional<Time> fails_at;  // its fate, if nothing moves
  bool sick = false;             // it lives, and a fifth of its answers are errors
  bool seen_unwell = false;      // somebody was told that it is dead or sick
  std::optional<Time> hangs_until;  // it runs, and answers nobody
  bool unreadable = false;          // its disk, since it died
  bool recycled = false;            // some of its log is gone that its shadow lacks
};

struct SimGateway {
  std::string name;
  std::uint64_t incarnation = 1;
  bool up = true;
  bool reachable = true;
  struct Gate {
    RouteTable table;
    std::uint64_t term = 0;
    proxy::HoldMachine hold;
    std::optional<std::uint64_t> sealed_for;  // persisted
    std::optional<std::uint64_t> behind;      // persisted: taken out of the path while it was down
    std::optional<Time> drained_at;           // work in flight ends then
  };
  std::map<ResourceId, Gate> gates;
  GatewayAck ack() const { return {name, name + "#" + std::to_string(incarnation)}; }
};

// One resource's world.
struct SimResource {
  Resource resource;
  std::map<InstanceId, SimInstance> instances;
  std::uint64_t acknowledged = 0;  // commits some client was told of
  std::uint64_t parked_since_ms = 0;
  // The agent's book.
  std::uint64_t agent_epoch = 0, agent_term = 0, promoted_epoch = 0, revived_epoch = 0;
  // Of failovers. In bytes, as a person says it; a commit is so long.
  static constexpr std::uint64_t commit_bytes = 100;
  std::uint64_t loss_policy_bytes = 0;
  std::uint64_t loss_accepted_bytes = 0;  // by operators, since the last promotion
  std::uint64_t assessed_epoch = 0;
  std::uint64_t told_lost = 0;    // commits, by the newest assessment
  std::uint64_t lost = 0;         // in all promotions
  int failovers = 0;              // promotions after an assessment
  std::set<InstanceId> relics;    // what was lost is on their disks and nowhere else
  bool flapping = false;
  bool workload_is_the_cause = false;
  int made = 0;
  std::uint64_t served = 0, refused = 0;
  std::optional<Time> last_served;
};

class World {
 public:
  World(Schedule& schedule, Random& random, const Faults& faults, std::vector<Resource> resources, int gateways);

  // One act of an effect in the world, with the answer it deserves. Called when the command arrives, which may be after
  // its sender died.
  EffectDone perform(const Effect& effect);

  void client_write(SimResource& r);
  void outsider_write(SimResource& r);
  // Unforeseen, or foreseen too late.
  void die(const SimResource& r, SimInstance& i);
  bool answers(const SimInstance& i) const { return i.alive && !(i.hangs_until && schedule_.now() < *i.hangs_until); }
  void gateway_crash(SimGateway& g);
  void gateway_boot(SimGateway& g);
  // An operator's `remove-gateway`, of one that is down.
  void take_out(SimGateway& g);
  void fates(SimResource& r);  // what time does to instances
  // Null: no gateway is there to tell.
  const RouteTable* table_of(const SimResource& r) const;
  Outlook outlook(SimResource& r);
  Evidence evidence(SimResource& r);
  std::optional<CounterfactualSeen> counterfactual(SimResource& r, const Instance& old);
  void check(const SimResource& r) const;
  void heal();

  std::map<ResourceId, SimResource>& resources() { return resources_; }
  std::vector<SimGateway>& gateways() { return gateways_; }
  Faults& faults() { return faults_; }

 private:
  struct Do;
  [[noreturn]] void broken(const std::string& what) const;
  SimInstance* find(SimResource& r, const InstanceId& id);
  proxy::HoldMachine::Now mono() const;
  void settle_hold(SimGateway::Gate& gate);
  bool answers(const SimGateway& g) const { return g.up && g.reachable; }
  // Counts as held and sealed: it does not answer, and what is on its disk keeps it from serving.
  bool is_out(const SimGateway& g, const ResourceId& resource) const {
    return !answers(g) && g.gates.at(resource).behind;
  }
  // A command of an older term or epoch than the host has seen is refused there.
  bool agent_obeys(SimResource& r, std::uint64_t term, std::uint64_t epoch);

  Schedule& schedule_;
  Random& random_;
  Faults faults_;
  std::map<ResourceId, SimResource> resources_;
  std::vector<SimGateway> gateways_;
};

}  // namespace foreshadow::sim
