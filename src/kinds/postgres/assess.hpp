// After the fence of a primary that died unforeseen: what was it told to keep that its standby lacks? First everything
// is brought over that its disk still gives (rescue.hpp), so that an asynchronous standby need lose nothing; then what
// cannot be had is counted, or said to be unknown.
//
// What "commit" means is what the log holds: a server that ran with synchronous_commit = off had told clients of
// commits that were never in it, and nobody can find those.
#pragma once

#include <cstdint>
#include <stop_token>

#include "act/promote/promoter.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

// As loss_max_bytes: a loss that nobody can tell is accepted as well.
inline constexpr std::uint64_t kAnyLoss = UINT64_MAX;

// Requires: no process of the old primary is left, proven. Safe to repeat, also after an agent died in it. Facts:
// "lost_bytes" (a number, or "unknown"), "lost_commits", "rescued_commits", and "xmax" (of the standby, which nobody
// writes to). Errors: refused (more is lost, or may be, than `loss_max_bytes`: the text ends in the command that
// accepts it; or the primary is not fenced), conflict (the standby takes writes), invalid (it is no copy of that
// primary), unreachable, timeout (nobody answers at the standby: ask again).
Result<act::Finding> assess_cluster(const PgSettings& settings, const act::Authority& who, const Instance& primary,
                                    const Instance& shadow, std::uint64_t loss_max_bytes, std::stop_token stop);

}  // namespace foreshadow::kinds::postgres
