// All that decisions rest on: the policy in force, where each resource stands, and the effects not yet answered. A value; a
// snapshot of it plus the events after it is a recovery. Holds no clock, no handle, nothing that could not be replayed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "domain/effect.hpp"
#include "domain/event.hpp"
#include "domain/phase.hpp"

namespace foreshadow::decide {

// Evidence on one side of one segment since its count began.
struct Tally {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t slow = 0;
  std::uint64_t mismatched = 0;
  friend bool operator==(const Tally&, const Tally&) = default;
};

// How far a segment has moved, and what was seen of the shadow doing its work.
struct SegmentProgress {
  SegmentId segment;
  double weight = 0;
  Time stepped_at;
  Tally mirror;   // mirrored work since mirroring began; after a handover, of the old primary
  Tally shifted;  // work served by the shadow since its last step; after a handover, all of it
  friend bool operator==(const SegmentProgress&, const SegmentProgress&) = default;
};

// An effect that has been asked for and has not answered. After a crash it is started again.
struct Pending {
  Effect effect;
  Time since;
  bool cancelled = false;
  double fraction = 0;
  std::string detail;
  friend bool operator==(const Pending&, const Pending&) = default;
};

// The claim a handover was decided on; what happens to the old primary confirms or refutes it.
struct Prediction {
  Time at;
  double score = 0;
  Millis horizon{0};
  std::string why;
  friend bool operator==(const Prediction&, const Prediction&) = default;
};

// What may be asked of a person, and the answer. One at a time per resource.
enum class Question { none, shadow, handover };

// Of kinds that fence: whether the current side is dead, and the failover that this leads to.
struct FailoverState {
  // Dead by two views, one of them a fresh write that the agent on its host has tried. Such an agent can prove a fence;
  // without its word nothing of this is set.
  std::optional<Time> dead_since;
  std::optional<Time> dead_seen_at;  // last
  std::string dead_of;               // what they saw
  bool under_way = false;            // until the old primary follows
  bool wanted = false;               // an operator asked for it
  std::uint64_t loss_accepted_bytes = 0;  // by that operator, for this time only
  std::string ended_why;  // of the last one that went back: none begins by itself before the side was seen alive
  std::string lost;       // by the newest one, for people; empty: nothing
  friend bool operator==(const FailoverState&, const FailoverState&) = default;
};

struct Lifecycle {
  Resource resource;  // as configured; `resource.primary` is the base configuration, not who serves now
  Policy policy;
  Tuning tuning;

  Phase phase = Phase::observing;
  HandoverStep step = HandoverStep::none;
  Time phase_since;
  Time step_since;

  Instance current;
  std::optional<Instance> shadow;  // while handing over and before: the one being prepared
  // The provisioning key of each instance that we made: only these may be destroyed.
  std::map<InstanceId, std::string> ours;
  std::optional<Instance> old_primary;  // after a handover, until it is retired
  std::optional<Instance> standby;      // kept for a later rollback or handover

  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  RouteTable table;  // last commanded

  std::optional<Outlook> outlook;
  std::optional<Time> calm_since;
  std::optional<Prediction> prediction;
  std::vector<SegmentProgress> segments;
  std::vector<Unmovable> unmovable;
  std::vector<GatewayAck> gateways_seen;  // a new incarnation is told the table again
  std::map<std::string, int> gateways_silent;  // looks in a row at which it did not answer
  int steers_failed = 0;                       // in a row: a table is sent until every gateway has it
  std::optional<Millis> lag;              // of the shadow, last known
  std::optional<Time> lag_at;             // when it was known
  std::vector<Pending> pending;

  int attempts = 0;               // of the hold, or of the step being retried
  std::optional<Time> retry_at;   // nothing is started before this
  std::vector<GatewayAck> acks;
  bool seal_asked = false;  // of this attempt: a gateway that does not answer may be sealed, and must be released
  std::string proof;
  Facts found;  // by this handover, at the end of the old epoch
  Facts facts;  // with which the current epoch began: they travel with its table
  std::optional<Time> handover_began;
  std::optional<Time> handover_ended;
  bool aborting = false;
  bool handover_wanted = false;  // an operator asked for it
  bool rolling_back = false;
  bool forward_only = false;  // the old primary could not be started again: from here the way is on, not back
  bool unpromotable = false;  // the shadow refused its promotion: it is given back, not tried again
  bool given_up = false;      // the old primary was started again: this handover is over, whatever its release takes
  bool current_dead = false;  // seen dead by two views
  FailoverState failover;

  bool paused = false;
  bool bypassed = false;  // clients come past the gateways
  std::string bypassed_by;
  Question asked = Question::none;
  Question approved = Question::none;
  std::optional<Time> cooldown_until;
  std::optional<Time> page_quiet_until;
  std::string last_page;
  std::string blocked_why;  // why nothing more is being done, for people
  std::optional<Millis> ready_took;  // measured: threshold crossed .. shadow ready

  std::optional<Time> old_died_at;
  std::string old_died_of;
  double load_ratio = 0;
  // A watch has ended and waits for learn's label; cleared by the OutcomeRecorded event.
  std::optional<Outcome> unlabelled;
  std::vector<Outcome> outcomes;  // newest last, bounded
  std::vector<Time> provisions;   // in the last day
  std::vector<Time> handovers;
  friend bool operator==(const Lifecycle&, const Lifecycle&) = default;
};

inline constexpr std::size_t outcomes_max = 200;

struct State {
  static constexpr int format = 3;  // of the snapshot
  std::uint64_t term = 0;
  EffectId next_effect = 1;
  Time now;
  bool paused = false;  // all resources
  std::string frozen_why;  // not empty: correlated badness, no planned action starts
  std::map<ResourceId, Lifecycle> resources;
  friend bool operator==(const State&, const State&) = default;
};

// Past this nobody can go back to the old side without losing writes.
inline bool past_no_return(const Lifecycle& l) {
  return l.phase == Phase::handing_over && (l.step == HandoverStep::promoting || l.step == HandoverStep::switching);
}

}  // namespace foreshadow::decide
