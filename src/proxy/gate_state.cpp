#include "proxy/gate_state.hpp"

#include <fmt/format.h>

#include "domain/json.hpp"

namespace foreshadow::proxy {

FS_JSON_FIELDS(HeldRecord, next_epoch, lease_left)
FS_JSON_FIELDS(SealRecord, next_epoch, park_max)
FS_JSON_FIELDS(GateState, table, term, hold, seal)

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
