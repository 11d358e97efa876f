// The controller role: the loop of observe, foresee, decide, act and learn for every configured resource, with its journal
// and its socket. One strand decides; sources, watches and effects have threads of their own and speak through the inbox.
#pragma once

#include <stop_token>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::app {

// Blocks until `stop`. Errors: conflict (another controller holds the journal), invalid (a journal from a newer version),
// io. A damaged journal is no error: the controller then only observes, and says so.
Result<void> run_controller(const config::Config& config, const std::vector<const kinds::Kind*>& kinds, std::stop_token stop);

}  // namespace foreshadow::app
