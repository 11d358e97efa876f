#include "domain/names.hpp"

#include <array>

namespace foreshadow {

const char* name_of(const EffectBody& body) {
  static constexpr std::array names{"provision", "replicate",    "steer",  "prepare", "hold",    "prove_equal", "seal",   "fence",
                                    "check_fenced", "assess", "promote", "release", "revive",  "rejoin",      "retire", "page"};
  static_assert(names.size() == std::variant_size_v<EffectBody>);
  return names[body.index()];
}

const char* name_of(const EventBody& body) {
  static constexpr std::array names{"started",     "policy_set",      "outlook",             "evidence",      "command",
                                    "effect_done", "effect_progress", "counterfactual_seen", "instance_seen", "outcome",
                                    "tuned",       "ticked"};
  static_assert(names.size() == std::variant_size_v<EventBody>);
  return names[body.index()];
}

std::string provision_key(const ResourceId& resource, EffectId id) { return resource + "-" + std::to_string(id); }

bool irreversible(const EffectBody& body) {
  return std::holds_alternative<Fence>(body) || std::holds_alternative<Promote>(body) ||
         std::holds_alternative<Revive>(body) || std::holds_alternative<Rejoin>(body) ||
         std::holds_alternative<Retire>(body) || std::holds_alternative<Seal>(body) ||
         std::holds_alternative<Release>(body);
}

bool must_be_durable(const EventBody& body) {
  return std::holds_alternative<Command>(body) || std::holds_alternative<EffectDone>(body) ||
         std::holds_alternative<PolicySet>(body) || std::holds_alternative<Started>(body) ||
         std::holds_alternative<OutcomeRecorded>(body) || std::holds_alternative<Tuned>(body);
}

}  // namespace foreshadow
