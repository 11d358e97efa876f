// State as a snapshot: versioned, strict. An image of another format is refused, so that old events are never replayed
// onto a state they did not come from.
#pragma once

#include <string>

#include "base/result.hpp"
#include "decide/state.hpp"
#include "domain/json.hpp"

namespace foreshadow::decide {

FS_JSON_DECLARE(Lifecycle);

std::string encode_state(const State& state);
Result<State> decode_state(const std::string& image);

}  // namespace foreshadow::decide
