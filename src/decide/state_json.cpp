#include "decide/state_json.hpp"

#include <fmt/format.h>

namespace foreshadow::decide {

void to_json(nlohmann::json& j, const Question& v) { j = static_cast<int>(v); }
void from_json(const nlohmann::json& j, Question& v) {
  const int n = j.get<int>();
  if (n < 0 || n > 2) throw nlohmann::json::other_error::create(501, "unknown question", &j);
  v = static_cast<Question>(n);
}

FS_JSON_FIELDS(Tally, requests, errors, slow, mismatched)
FS_JSON_FIELDS(SegmentProgress, segment, weight, stepped_at, mirror, shifted)
FS_JSON_FIELDS(Pending, effect, since, cancelled, fraction, detail)
FS_JSON_FIELDS(Prediction, at, score, horizon, why)
FS_JSON_FIELDS(FailoverState, dead_since, dead_seen_at, dead_of, under_way, wanted, loss_accepted_bytes, ended_why, lost)
FS_JSON_FIELDS(Lifecycle, resource, policy, tuning, phase, step, phase_since, step_since, current, shadow, ours,
               old_primary, standby, epoch, version, table, outlook, calm_since, prediction, segments, unmovable,
               gateways_seen, gateways_silent, steers_failed, lag, lag_at, pending, attempts, retry_at, acks,
               seal_asked, proof, found, facts, handover_began, handover_ended, aborting, handover_wanted, rolling_back, forward_only,
               unpromotable, given_up, current_dead, failover, paused, bypassed, bypassed_by, asked, approved, cooldown_until,
               page_quiet_until, last_page, blocked_why, ready_took, old_died_at, old_died_of, load_ratio, unlabelled,
               outcomes, provisions, handovers)

std::string encode_state(const State& state) {
  nlohmann::json j{{"format", State::format},   {"term", state.term},     {"next_effect", state.next_effect},
                   {"now", state.now},          {"paused", state.paused}, {"frozen_why", state.frozen_why},
                   {"resources", state.resources}};
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<State> decode_state(const std::string& image) {
  try {
    const auto j = nlohmann::json::parse(image);
    if (const int format = j.at("format").get<int>(); format != State::format)
      return fail(Code::invalid, fmt::format("the snapshot has format {}, this version reads {}: run the version that wrote it "
                                             "until no handover is under way, or start with a new state_dir",
                                             format, State::format));
    State state;
    j.at("term").get_to(state.term);
    j.at("next_effect").get_to(state.next_effect);
    j.at("now").get_to(state.now);
    j.at("paused").get_to(state.paused);
    j.at("frozen_why").get_to(state.frozen_why);
    j.at("resources").get_to(state.resources);
    return state;
  } catch (const nlohmann::json::exception& e) {
    return fail(Code::corrupt, fmt::format("the snapshot cannot be read: {}", e.what()));
  }
}

}  // namespace foreshadow::decide
