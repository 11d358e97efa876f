// What can be done for a handover before anybody is held: the preflight, a checkpoint, the files that the fence will
// put in place, and the connections that the steps of the stall will talk over.
//
// Safe to repeat, and undone by nothing: after it both servers do what they did before it.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/settings.hpp"
#include "kinds/postgres/warm.hpp"

namespace foreshadow::kinds::postgres {

// Answers for people: what was done, and what the preflight warns of. refused: what it refuses, every reason of it.
Result<std::string> prepare_cluster(const PgSettings& settings, const Instance& primary, const Instance& shadow,
                                    WarmControls& warm, std::stop_token stop);

// Is this shadow a copy of this primary that we may promote, and is nobody else in charge? Asked by the preflight among
// much else, and by whoever would act without one.
Result<void> examine_pair(const PgSettings& settings, Control& primary_control, Control& shadow_control,
                          const Instance& primary, const Instance& shadow, std::stop_token stop);

}  // namespace foreshadow::kinds::postgres
