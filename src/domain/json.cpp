#include "domain/json.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include "domain/names.hpp"

namespace foreshadow {
namespace {

using nlohmann::json;

// Strict both ways: an unknown name is an error, not the first enumerator.
template <class E, std::size_t N>
void put_enum(json& j, E value, const std::array<std::pair<E, const char*>, N>& names) {
  for (const auto& [v, name] : names)
    if (v == value) {
      j = name;
      return;
    }
  throw json::other_error::create(501, "enumerator without a name", nullptr);
}
template <class E, std::size_t N>
void get_enum(const json& j, E& value, const std::array<std::pair<E, const char*>, N>& names) {
  const auto& text = j.get_ref<const std::string&>();
  for (const auto& [v, name] : names)
    if (text == name) {
      value = v;
      return;
    }
  throw json::other_error::create(501, "unknown name '" + text + "'", &j);
}

}  // namespace

#define FS_JSON_ENUM(Type, ...)                                                      \
  static constexpr auto k##Type##Names = std::to_array<std::pair<Type, const char*>>(__VA_ARGS__); \
  void to_json(json& j, const Type& v) { put_enum(j, v, k##Type##Names); }           \
  void from_json(const json& j, Type& v) { get_enum(j, v, k##Type##Names); }

FS_JSON_ENUM(Autonomy, {{Autonomy::observe, "observe"}, {Autonomy::advise, "advise"}, {Autonomy::act, "act"}})
FS_JSON_ENUM(Retirement, {{Retirement::standby, "standby"}, {Retirement::rebuild, "rebuild"}, {Retirement::keep, "keep"}})
FS_JSON_ENUM(HoldState, {{HoldState::open, "open"}, {HoldState::holding, "holding"}, {HoldState::held, "held"},
                         {HoldState::sealed, "sealed"}})
FS_JSON_ENUM(CircuitState,
             {{CircuitState::closed, "closed"}, {CircuitState::open, "open"}, {CircuitState::half_open, "half_open"}})
FS_JSON_ENUM(Verdict, {{Verdict::confirmed, "confirmed"}, {Verdict::refuted, "refuted"}, {Verdict::late, "late"},
                       {Verdict::censored, "censored"}})
FS_JSON_ENUM(Helps, {{Helps::yes, "yes"}, {Helps::no, "no"}, {Helps::unknown, "unknown"}})
FS_JSON_ENUM(Verb, {{Verb::handover, "handover"},
                    {Verb::pause, "pause"},
                    {Verb::resume, "resume"},
                    {Verb::abort, "abort"},
                    {Verb::rollback, "rollback"},
                    {Verb::approve, "approve"},
                    {Verb::remove_gateway, "remove_gateway"},
                    {Verb::bypass, "bypass"},
                    {Verb::end_bypass, "end_bypass"},
                    {Verb::failover, "failover"}})
FS_JSON_ENUM(Code, {{Code::timeout, "timeout"}, {Code::unreachable, "unreachable"}, {Code::refused, "refused"},
                    {Code::invalid, "invalid"}, {Code::conflict, "conflict"}, {Code::cancelled, "cancelled"},
                    {Code::corrupt, "corrupt"}, {Code::io, "io"}})
FS_JSON_ENUM(Phase, {{Phase::observing, "observing"}, {Phase::provisioning, "provisioning"},
                     {Phase::replicating, "replicating"}, {Phase::mirroring, "mirroring"}, {Phase::shifting, "shifting"},
                     {Phase::handing_over, "handing_over"}, {Phase::watching, "watching"}, {Phase::retiring, "retiring"},
                     {Phase::withdrawing, "withdrawing"}})
FS_JSON_ENUM(HandoverStep, {{HandoverStep::none, "none"}, {HandoverStep::preparing, "preparing"},
                            {HandoverStep::holding, "holding"},
                            {HandoverStep::proving, "proving"}, {HandoverStep::sealing, "sealing"},
                            {HandoverStep::fencing, "fencing"}, {HandoverStep::checking, "checking"},
                            {HandoverStep::assessing, "assessing"},
                            {HandoverStep::promoting, "promoting"}, {HandoverStep::switching, "switching"},
                            {HandoverStep::rejoining, "rejoining"}, {HandoverStep::releasing, "releasing"},
                            {HandoverStep::reviving, "reviving"}})

const char* to_string(Phase phase) {
  for (const auto& [v, name] : kPhaseNames)
    if (v == phase) return name;
  return "unknown";
}
const char* to_string(HandoverStep step) {
  for (const auto& [v, name] : kHandoverStepNames)
    if (v == step) return name;
  return "unknown";
}
const char* to_string(Verb verb) {
  for (const auto& [v, name] : kVerbNames)
    if (v == verb) return name;
  return "unknown";
}
const char* to_string(Autonomy autonomy) {
  for (const auto& [v, name] : kAutonomyNames)
    if (v == autonomy) return name;
  return "unknown";
}
const char* to_string(Verdict verdict) {
  for (const auto& [v, name] : kVerdictNames)
    if (v == verdict) return name;
  return "unknown";
}

FS_JSON_FIELDS(Error, code, what)
FS_JSON_FIELDS(Endpoint, host, port)
FS_JSON_FIELDS(Instance, id, endpoint, data_dir, pid_file, failure_domains, attributes)
FS_JSON_FIELDS(Segment, id, writes, honours_mirror_mark, staleness_max, latency_sensitivity)
FS_JSON_FIELDS(KindTraits, shares_data, fences, counterfactual)
FS_JSON_FIELDS(Resource, id, kind, traits, primary, segments, gateways)
FS_JSON_FIELDS(ThresholdRule, threshold, horizon)
FS_JSON_FIELDS(CanaryPolicy, error_rate_max, slow_after, slow_rate_max, mismatch_rate_max, alpha, requests_min)
FS_JSON_FIELDS(HoldPolicy, lease, budget, park_max, attempts_max, retry_after)
FS_JSON_FIELDS(BudgetPolicy, provisions_per_day, handovers_per_day, cooldown)
FS_JSON_FIELDS(FailoverPolicy, enabled, restart_grace, loss_max_bytes)
FS_JSON_FIELDS(ThresholdBounds, shadowing_min, shadowing_max, critical_min, critical_max)
FS_JSON_FIELDS(Policy, autonomy, approval_required, handover_enabled, shadowing, critical, hysteresis, recede_after,
               shift_max,
               mirror_fraction, reverse_mirror_fraction, canary, hold, failover, budget, bounds, provision_timeout,
               replicate_timeout, counterfactual_max, load_ratio_min, retirement, freeze_share)
FS_JSON_FIELDS(SegmentRoute, segment, other_weight, mirror)
void to_json(json& j, const RouteTable& v) {
  j = {{"resource", v.resource}, {"epoch", v.epoch},     {"version", v.version}, {"term", v.term},
       {"current", v.current},   {"other", v.other},     {"routes", v.routes}};
  // Not of a gateway's state written by a version that knew none.
  if (!v.facts.empty()) j["facts"] = v.facts;
}
void from_json(const json& j, RouteTable& v) {
  j.at("resource").get_to(v.resource);
  j.at("epoch").get_to(v.epoch);
  j.at("version").get_to(v.version);
  j.at("term").get_to(v.term);
  j.at("current").get_to(v.current);
  j.at("other").get_to(v.other);
  j.at("routes").get_to(v.routes);
  if (const auto facts = j.find("facts"); facts != j.end()) facts->get_to(v.facts);
}
FS_JSON_FIELDS(Failures, connect, reset, timeout, protocol, status_5xx, client_gone)
FS_JSON_FIELDS(SideStats, requests, errors, failures, latency)
FS_JSON_FIELDS(MirrorStats, sent, dropped, paused, paused_in_vain, errors, mismatched, latency)
FS_JSON_FIELDS(Refusals, parked_too_long, parked_full, queued_too_long, queue_full, circuit_open)
FS_JSON_FIELDS(InsuranceStats, served, completed, failed)
FS_JSON_FIELDS(SegmentStats, segment, current, other, mirror, refused, refusals, flowed, reentered, diverted,
               insurance)
FS_JSON_FIELDS(InstanceStats, instance, busy, queued, waited, wait, circuit, opened, why)
FS_JSON_FIELDS(Unmovable, reason, sessions)
FS_JSON_FIELDS(MirrorPace, rate, evidence, blocks, slowed_down, control)
FS_JSON_FIELDS(DoubtStats, waiting, committed, not_committed, unknown)
FS_JSON_FIELDS(HoldWaits, next_epoch, drained_in_us, waits)
FS_JSON_FIELDS(GatewayReport, gateway, resource, incarnation, epoch, version, hold, sessions, in_flight, parked,
               unmovable, segments, instances, mirror_pace, doubt, work_lengths, hold_waits, log_lines_dropped)
FS_JSON_FIELDS(HoldFelt, gateway, waits)
FS_JSON_FIELDS(GatewayAck, gateway, incarnation)
FS_JSON_FIELDS(HorizonScore, horizon, score, low, high)
FS_JSON_FIELDS(Reason, signal, score, value, limit, time_to_limit, text)
FS_JSON_FIELDS(Outlook, resource, at, known, scores, reasons, drift, handover_helps, degraded, time_to_limit)
FS_JSON_FIELDS(Outcome, resource, epoch, predicted_at, score, horizon, handover_ended_at, failed_at, load_ratio, watched_out,
               verdict, why)
FS_JSON_FIELDS(Tuning, resource, shadowing_threshold, critical_threshold, resolved, resolved_at_move, why)
FS_JSON_FIELDS(SegmentEvidence, segment, current_requests, current_errors, current_slow, other_requests, other_errors,
               other_slow, mirrored, mirror_errors, mirror_slow, mirror_mismatched, mirror_dropped)

// Histograms are sparse: most buckets stay empty.
void to_json(json& j, const Histogram& v) {
  j = json::array();
  for (int b = 0; b < Histogram::buckets; ++b)
    if (v.at(b) != 0) j.push_back(json::array({b, v.at(b)}));
}
void from_json(const json& j, Histogram& v) {
  v = {};
  for (const auto& pair : j) {
    const int bucket = pair.at(0).get<int>();
    if (bucket < 0 || bucket >= Histogram::buckets) throw json::out_of_range::create(401, "histogram bucket", &j);
    v.add(bucket, pair.at(1).get<std::uint64_t>());
  }
}

// Not in an anonymous namespace: the JSON library finds them by argument-dependent lookup.
FS_JSON_FIELDS(Provision, primary, timeout)
FS_JSON_FIELDS(Replicate, primary, shadow, timeout)
FS_JSON_FIELDS(Steer, table)
FS_JSON_FIELDS(Prepare, primary, shadow, next_epoch)
FS_JSON_FIELDS(Hold, next_epoch, policy, abandon)
FS_JSON_FIELDS(ProveEqual, primary, shadow, next_epoch)
FS_JSON_FIELDS(Seal, next_epoch, acks)
FS_JSON_FIELDS(Fence, primary, shadow, next_epoch, acks)
FS_JSON_FIELDS(CheckFenced, primary, shadow, proof, next_epoch)
FS_JSON_FIELDS(Assess, primary, shadow, next_epoch, loss_max_bytes)
FS_JSON_FIELDS(Promote, primary, shadow, next_epoch, acks)
FS_JSON_FIELDS(Release, next_epoch)
FS_JSON_FIELDS(Revive, primary, next_epoch)
FS_JSON_FIELDS(Rejoin, old_primary, primary, epoch)
FS_JSON_FIELDS(Retire, instance, serving, key, rebuild)
FS_JSON_FIELDS(Page, text)

FS_JSON_FIELDS(Started, term, version)
FS_JSON_FIELDS(PolicySet, resource, policy)
FS_JSON_FIELDS(OutlookMade, outlook)
void to_json(json& j, const Evidence& v) {
  j = {{"segments", v.segments}, {"unmovable", v.unmovable}, {"gateways", v.gateways}, {"lag", v.lag}};
  // One a look is journaled, and hardly any has something to say here.
  if (!v.closed.empty()) j["closed"] = v.closed;
  if (!v.holds.empty()) j["holds"] = v.holds;
}
void from_json(const json& j, Evidence& v) {
  j.at("segments").get_to(v.segments);
  j.at("unmovable").get_to(v.unmovable);
  j.at("gateways").get_to(v.gateways);
  j.at("lag").get_to(v.lag);
  if (const auto closed = j.find("closed"); closed != j.end()) closed->get_to(v.closed);
  if (const auto holds = j.find("holds"); holds != j.end()) holds->get_to(v.holds);
}
void to_json(json& j, const Command& v) {
  j = {{"verb", v.verb}, {"actor", v.actor}, {"reason", v.reason}};
  if (!v.target.empty()) j["target"] = v.target;
  if (v.loss_max_bytes != 0) j["loss_max_bytes"] = v.loss_max_bytes;
}
void from_json(const json& j, Command& v) {
  j.at("verb").get_to(v.verb);
  j.at("actor").get_to(v.actor);
  j.at("reason").get_to(v.reason);
  // Most commands have none.
  if (const auto target = j.find("target"); target != j.end()) target->get_to(v.target);
  if (const auto loss = j.find("loss_max_bytes"); loss != j.end()) loss->get_to(v.loss_max_bytes);
}
FS_JSON_FIELDS(EffectDone, id, error, detail, instance, proof, acks, facts)
FS_JSON_FIELDS(EffectProgress, id, fraction, detail)
FS_JSON_FIELDS(CounterfactualSeen, alive, died_at, load_ratio, detail)
FS_JSON_FIELDS(InstanceSeen, instance, alive, detail)
FS_JSON_FIELDS(OutcomeRecorded, outcome)
FS_JSON_FIELDS(Tuned, tuning)
void to_json(json& j, const Ticked&) { j = json::object(); }
void from_json(const json&, Ticked&) {}

namespace {
template <class Variant, std::size_t I = 0>
bool emplace_named(const json& j, const std::string& type, Variant& v) {
  if constexpr (I < std::variant_size_v<Variant>) {
    using T = std::variant_alternative_t<I, Variant>;
    if (type == name_of(Variant{std::in_place_index<I>})) {
      v.template emplace<I>(j.get<T>());
      return true;
    }
    return emplace_named<Variant, I + 1>(j, type, v);
  } else {
    return false;
  }
}

template <class Variant>
void put_variant(json& j, const Variant& body) {
  std::visit([&](const auto& b) { to_json(j, b); }, body);
  j["type"] = name_of(body);
}
template <class Variant>
void get_variant(const json& j, Variant& body) {
  const auto type = j.at("type").get<std::string>();
  if (!emplace_named(j, type, body)) throw json::other_error::create(501, "unknown type '" + type + "'", &j);
}
}  // namespace

void to_json(json& j, const Effect& v) {
  j = {{"id", v.id}, {"resource", v.resource}, {"term", v.term}, {"why", v.why}};
  put_variant(j["body"], v.body);
}
void from_json(const json& j, Effect& v) {
  j.at("why").get_to(v.why);
  j.at("id").get_to(v.id);
  j.at("resource").get_to(v.resource);
  j.at("term").get_to(v.term);
  get_variant(j.at("body"), v.body);
}
void to_json(json& j, const Event& v) {
  j = {{"at", v.at}, {"resource", v.resource}};
  put_variant(j["body"], v.body);
}
void from_json(const json& j, Event& v) {
  j.at("at").get_to(v.at);
  j.at("resource").get_to(v.resource);
  get_variant(j.at("body"), v.body);
}

}  // namespace foreshadow
