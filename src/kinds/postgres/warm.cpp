#include "kinds/postgres/warm.hpp"

#include <algorithm>
#include <utility>

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Millis kStillThere = 1s;

}  // namespace

Result<WarmControl> WarmControls::take(const Endpoint& endpoint, const PgSettings& settings, std::stop_token stop) {
  if (auto warm = remove(endpoint))
    // A server that was restarted has closed it; one that hangs shall not cost us more than a new connection would.
    if (!warm->control.broken() && warm->control.query("SELECT 1", kStillThere, stop)) return std::move(*warm);
  FS_TRY(control, Control::connect(endpoint, settings, stop));
  // Longer than a preparation and its proof are apart. An aborted handover has nobody who would close it.
  FS_TRY(set, control.query("SET idle_session_timeout = '1min'", settings.connect_timeout, stop));
  static_cast<void>(set);
  return WarmControl{std::move(control), ""};
}

void WarmControls::keep(const Endpoint& endpoint, WarmControl warm) {
  drop(endpoint);
  if (warm.control.broken()) return;
  const std::lock_guard lock(mutex_);
  kept_.push_back({endpoint, std::move(warm)});
}

void WarmControls::drop(const Endpoint& endpoint) { static_cast<void>(remove(endpoint)); }

std::optional<WarmControl> WarmControls::remove(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  const auto it = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.endpoint == endpoint; });
  if (it == kept_.end()) return std::nullopt;
  std::optional<WarmControl> out(std::move(it->warm));
  kept_.erase(it);
  return out;
}

}  // namespace foreshadow::kinds::postgres
