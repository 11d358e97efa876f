// Everything decide ever learns, in the order it learnt it. What is not an event cannot change a decision; the journal
// keeps all of them, and replaying them gives the same decisions.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "domain/effect.hpp"
#include "domain/gateway_report.hpp"
#include "domain/outcome.hpp"
#include "domain/outlook.hpp"
#include "domain/policy.hpp"
#include "domain/resource.hpp"

namespace foreshadow {

// A controller began a new term (or the same state went on after a crash).
struct Started {
  std::uint64_t term = 0;
  std::string version;
  friend bool operator==(const Started&, const Started&) = default;
};
// The configuration as loaded: a resource and what is allowed for it.
struct PolicySet {
  Resource resource;
  Policy policy;
  friend bool operator==(const PolicySet&, const PolicySet&) = default;
};
struct OutlookMade {
  Outlook outlook;
  friend bool operator==(const OutlookMade&, const OutlookMade&) = default;
};
// Paired counts since the previous Evidence, per segment, merged over the gateways.
struct SegmentEvidence {
  SegmentId segment;
  std::uint64_t current_requests = 0, current_errors = 0, current_slow = 0;
  std::uint64_t other_requests = 0, other_errors = 0, other_slow = 0;
  std::uint64_t mirrored = 0, mirror_errors = 0, mirror_slow = 0, mirror_mismatched = 0, mirror_dropped = 0;
  friend bool operator==(const SegmentEvidence&, const SegmentEvidence&) = default;
};
// What a handover's hold cost the clients of one gateway. Once for each, when nobody waits any more.
struct HoldFelt {
  std::string gateway;
  HoldWaits waits;
  friend bool operator==(const HoldFelt&, const HoldFelt&) = default;
};
struct Evidence {
  std::vector<SegmentEvidence> segments;
  std::vector<Unmovable> unmovable;
  // Gateways that answered; one missing makes the evidence partial.
  std::vector<GatewayAck> gateways;
  // Replication lag of the shadow, if it could be read.
  std::optional<Millis> lag;
  // Gateways that let nothing through: sealed, or back after an absence and waiting to be told who serves.
  std::vector<std::string> closed{};
  std::vector<HoldFelt> holds{};
  friend bool operator==(const Evidence&, const Evidence&) = default;
};
// remove_gateway: `target` is down and was taken out of the path, so that a handover may go on without it. bypass:
// clients come past the gateways, so nothing may move.
// failover: the current side is dead; its shadow is to serve, though up to `loss_max_bytes` of its commits be lost.
enum class Verb { handover, pause, resume, abort, rollback, approve, remove_gateway, bypass, end_bypass, failover };
struct Command {
  Verb verb = Verb::pause;
  std::string actor;
  std::string reason;
  std::string target{};  // of remove_gateway
  std::uint64_t loss_max_bytes = 0;  // of failover
  friend bool operator==(const Command&, const Command&) = default;
};
struct EffectDone {
  EffectId id = 0;
  std::optional<Error> error;  // absent: done
  std::string detail;          // for people: proof text, timings, addresses
  std::optional<Instance> instance;
  std::string proof;
  std::vector<GatewayAck> acks;
  Facts facts{};
  friend bool operator==(const EffectDone&, const EffectDone&) = default;
};
struct EffectProgress {
  EffectId id = 0;
  double fraction = 0;
  std::string detail;
  friend bool operator==(const EffectProgress&, const EffectProgress&) = default;
};
// How the watched old primary does. `alive` is false once what was predicted has come: a hard limit crossed, or the process
// gone; unknown when no view could be had.
struct CounterfactualSeen {
  std::optional<bool> alive;
  std::optional<Time> died_at;  // when it was first seen dead; believing it takes a few looks more
  double load_ratio = 0;        // mirrored (or replicated) to live work since the handover
  std::string detail;
  friend bool operator==(const CounterfactualSeen&, const CounterfactualSeen&) = default;
};
// A reachable instance other than the current one, or the current one, was found dead or unreachable by two views.
struct InstanceSeen {
  InstanceId instance;
  std::optional<bool> alive;
  std::string detail;
  friend bool operator==(const InstanceSeen&, const InstanceSeen&) = default;
};
struct OutcomeRecorded {
  Outcome outcome;
  friend bool operator==(const OutcomeRecorded&, const OutcomeRecorded&) = default;
};
struct Tuned {
  Tuning tuning;
  friend bool operator==(const Tuned&, const Tuned&) = default;
};
// A deadline that decide asked for has come.
struct Ticked {
  friend bool operator==(const Ticked&, const Ticked&) = default;
};

using EventBody = std::variant<Started, PolicySet, OutlookMade, Evidence, Command, EffectDone, EffectProgress,
                               CounterfactualSeen, InstanceSeen, OutcomeRecorded, Tuned, Ticked>;

struct Event {
  Time at;
  ResourceId resource;  // empty: all resources
  EventBody body;
  friend bool operator==(const Event&, const Event&) = default;
};

const char* name_of(const EventBody& body);
const char* to_string(Verb verb);
// The engine may not go on before this event is on disk: operators' commands, results of irreversible effects.
bool must_be_durable(const EventBody& body);

}  // namespace foreshadow
