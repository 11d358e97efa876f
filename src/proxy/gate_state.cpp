#include "proxy/gate_state.hpp"

#include <fmt/format.h>

#include "domain/json.hpp"

namespace foreshadow::proxy {

FS_JSON_FIELDS(HeldRecord, next_epoch, lease_left)
FS_JSON_FIELDS(SealRecord, next_epoch, park_max)
FS_JSON_FIELDS(BehindRecord, epoch, park_max)
void to_json(nlohmann::json& j, const GateState& v) {
  j = {{"table", v.table}, {"term", v.term}, {"hold", v.hold}, {"seal", v.seal}, {"behind", v.behind}};
}
void from_json(const nlohmann::json& j, GateState& v) {
  j.at("table").get_to(v.table);
  j.at("term").get_to(v.term);
  j.at("hold").get_to(v.hold);
  j.at("seal").get_to(v.seal);
  // An upgrade reads the file of a version that did not know it.
  if (const auto behind = j.find("behind"); behind != j.end()) behind->get_to(v.behind);
}

namespace {
constexpr int kFormat = 1;
}

std::string encode_states(const GateStates& states) {
  return nlohmann::json{{"format", kFormat}, {"resources", states}}.dump(1, ' ', false,
                                                                         nlohmann::json::error_handler_t::replace) +
         "\n";
}

Result<GateStates> decode_states(std::string_view text) {
  try {
    const auto j = nlohmann::json::parse(text);
    if (const auto format = j.at("format").get<int>(); format > kFormat)
      return fail(Code::conflict, fmt::format("format {} was written by a newer version", format));
    auto states = j.at("resources").get<GateStates>();
    for (const auto& [resource, state] : states)
      if (state.table.resource != resource)
        return fail(Code::corrupt, fmt::format("table of '{}' under '{}'", state.table.resource, resource));
    return states;
  } catch (const nlohmann::json::exception& e) {
    return fail(Code::corrupt, e.what());
  }
}

}  // namespace foreshadow::proxy
