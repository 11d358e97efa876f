// decide -> act: one thing to be done in the world. Every effect is safe to start twice: after a crash it is started
// again, so it asks the world what is true before it acts. Its answer comes back as an EffectDone event with its id.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "domain/policy.hpp"
#include "domain/resource.hpp"
#include "domain/route_table.hpp"

namespace foreshadow {

using EffectId = std::uint64_t;

// One gateway process, as it was when it acknowledged; a new incarnation has forgotten nothing but proves nothing.
struct GatewayAck {
  std::string gateway;
  std::string incarnation;
  friend bool operator==(const GatewayAck&, const GatewayAck&) = default;
};

// Brings up a place for the shadow. Answer: `instance`.
struct Provision {
  Instance primary;
  Millis timeout{0};
  friend bool operator==(const Provision&, const Provision&) = default;
};
// Makes the shadow follow the primary until it is ready (base copy, streaming; or just healthy). Reports progress.
struct Replicate {
  Instance primary;
  Instance shadow;
  Millis timeout{0};
  friend bool operator==(const Replicate&, const Replicate&) = default;
};
// Puts a route table in force on every gateway. With a higher epoch it also ends a hold or a seal.
struct Steer {
  RouteTable table;
  friend bool operator==(const Steer&, const Steer&) = default;
};
// Does what can be done before a handover's hold, so that clients wait less, and looks for what speaks against it. Answer:
// detail, for people; refused: what speaks against it. Nothing has to be undone.
struct Prepare {
  Instance primary;
  Instance shadow;
  std::uint64_t next_epoch = 0;
  friend bool operator==(const Prepare&, const Prepare&) = default;
};
// Parks new work on every gateway and waits until none is in flight. Answer: `acks`. Over budget: released, error timeout.
struct Hold {
  std::uint64_t next_epoch = 0;
  HoldPolicy policy;
  // The current side is dead: what it has in flight is cut off instead of waited for.
  bool abandon = false;
  friend bool operator==(const Hold&, const Hold&) = default;
};
// Proves that the shadow has everything the held primary acknowledged. Answer: `proof` (for PostgreSQL an LSN).
struct ProveEqual {
  Instance primary;
  Instance shadow;
  std::uint64_t next_epoch = 0;
  friend bool operator==(const ProveEqual&, const ProveEqual&) = default;
};
// Closes the old side for good on every gateway, durably; refused where the hold's lease has lapsed or the incarnation changed.
struct Seal {
  std::uint64_t next_epoch = 0;
  std::vector<GatewayAck> acks;
  friend bool operator==(const Seal&, const Seal&) = default;
};
// Stops the old primary for good and proves that nothing of it runs. Irreversible where the volume is full.
struct Fence {
  Instance primary;
  Instance shadow;
  std::uint64_t next_epoch = 0;
  std::vector<GatewayAck> acks;
  friend bool operator==(const Fence&, const Fence&) = default;
};
// After the fence: did anyone beside the gateway commit past the proof? Answer ok = nobody, and `facts`; conflict = a commit was found;
// any other error = unreadable, so no zero-loss claim can be made.
struct CheckFenced {
  Instance primary;
  Instance shadow;
  std::string proof;
  std::uint64_t next_epoch = 0;
  friend bool operator==(const CheckFenced&, const CheckFenced&) = default;
};
// After the fence of a primary that died unpredicted: what does the shadow lack of what it acknowledged? What can be had
// from the old disk is brought over first. Answer: `facts`; refused: more than `loss_max_bytes` is or may be lost.
struct Assess {
  Instance primary;
  Instance shadow;
  std::uint64_t next_epoch = 0;
  std::uint64_t loss_max_bytes = 0;  // of log that holds commits
  friend bool operator==(const Assess&, const Assess&) = default;
};
// Makes the shadow writable. The point of no return. After an error the answer is unknown: ask before going on.
struct Promote {
  Instance primary;
  Instance shadow;
  std::uint64_t next_epoch = 0;
  std::vector<GatewayAck> acks;
  friend bool operator==(const Promote&, const Promote&) = default;
};
// Ends a hold or a seal back to the current side: a journaled abort, before the point of no return.
struct Release {
  std::uint64_t next_epoch = 0;  // the epoch that is given up
  friend bool operator==(const Release&, const Release&) = default;
};
// Restarts a fenced old primary as primary, when CheckFenced or an abort says so.
struct Revive {
  Instance primary;
  std::uint64_t next_epoch = 0;
  friend bool operator==(const Revive&, const Revive&) = default;
};
// Makes the old primary follow the new one, to see whether the predicted failure comes.
struct Rejoin {
  Instance old_primary;
  Instance primary;
  std::uint64_t epoch = 0;  // in which `primary` serves
  friend bool operator==(const Rejoin&, const Rejoin&) = default;
};
// Gives an instance back (destroys only what our journal created), or rebuilds it from its base configuration.
struct Retire {
  Instance instance;
  Instance serving;  // who serves now: never the one that is retired
  std::string key;   // the provisioning key it was made under; empty: not ours, so never destroyed
  bool rebuild = false;
  friend bool operator==(const Retire&, const Retire&) = default;
};
// Tells a person; never fails the loop.
struct Page {
  std::string text;
  friend bool operator==(const Page&, const Page&) = default;
};

using EffectBody = std::variant<Provision, Replicate, Steer, Prepare, Hold, ProveEqual, Seal, Fence, CheckFenced, Assess,
                                Promote, Release, Revive, Rejoin, Retire, Page>;

struct Effect {
  EffectId id = 0;
  ResourceId resource;
  std::uint64_t term = 0;  // of the controller that started it; checked on the target host
  EffectBody body;
  // Why decide wants it, with the numbers it rests on; for people, `explain` and the journal.
  std::string why;
  friend bool operator==(const Effect&, const Effect&) = default;
};

// What names everything one Provision effect made, however often it is started.
std::string provision_key(const ResourceId& resource, EffectId id);
// "provision", "steer", ... as shown to people and written to the journal.
const char* name_of(const EffectBody& body);
// An act that cannot be taken back, or that moves who may write: its intent must be on disk before it starts.
bool irreversible(const EffectBody& body);

}  // namespace foreshadow
