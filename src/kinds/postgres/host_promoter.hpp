// Who may write, moved on the host that holds both data directories: proof of equality, fence, the look into the dead
// server's log, promotion, revival, rejoin. Each step looks first, so each may be repeated.
//
// It does not know who asks: terms and epochs are compared, and steps put in order, by the agent's desk before a call
// comes here.
#pragma once

#include <memory>

#include "act/promote/promoter.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

std::unique_ptr<act::Promoter> host_promoter(PgSettings settings);

}  // namespace foreshadow::kinds::postgres
