#include "foresee/risk/handover_helps.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

namespace foreshadow::foresee {
namespace {

constexpr double at_risk = 0.2;
constexpr double as_likely = 0.7;  // of the current side's probability
constexpr double load_share_min = 0.1;
constexpr double alike_min = 0.5;  // of the current side's growth per unit of work
constexpr double lasts_horizons = 3;

double longest_probability(const SignalRisk& risk) {
  return risk.passages.empty() ? 0 : risk.passages.back().probability;
}

// What a request costs shows in the process and in its answers; volumes and databases follow the replicated writes,
// which the shadow gets in full however little is mirrored.
bool depends_on_mirrored_load(const std::string& name) {
  return name.starts_with("process_") || name.starts_with("cgroup_") || name.starts_with("request_");
}

std::optional<double> request_rate(const Window& window, const InstanceId& instance) {
  for (const auto& signal : window.signals)
    if (signal.instance == instance && signal.name == "request_rate" && !signal.stale && !signal.samples.empty())
      return signal.samples.back().value;
  return std::nullopt;
}

}  // namespace

Helps handover_helps(const Window& window, const std::vector<Assessed>& current, const std::vector<Assessed>& shadow,
                     Millis longest) {
  if (!window.shadow) return Helps::unknown;
  double primary_risk = 0, shadow_risk = 0;
  for (const auto& [signal, risk] : current) primary_risk = std::max(primary_risk, longest_probability(risk));
  for (const auto& [signal, risk] : shadow) shadow_risk = std::max(shadow_risk, longest_probability(risk));
  if (primary_risk < at_risk) return Helps::unknown;
  if (shadow_risk >= as_likely * primary_risk) return Helps::no;

  const auto live = request_rate(window, window.current);
  const auto mirrored = request_rate(window, *window.shadow);
  const auto share = live && mirrored && *live > 0 ? std::optional(std::min(1.0, *mirrored / *live)) : std::nullopt;
  bool told = true;
  for (const auto& [signal, risk] : current) {
    if (longest_probability(risk) < at_risk) continue;
    const auto peer = std::ranges::find_if(shadow, [&](const Assessed& a) { return a.signal->name == signal->name; });
    if (peer == shadow.end() || !peer->risk.known) {
      told = false;
      continue;
    }
    const bool by_load = depends_on_mirrored_load(signal->name);
    if (by_load && (!share || *share < load_share_min)) {
      told = false;
      continue;
    }
    if (!signal->limit->hard) continue;
    const double turn = signal->limit->direction == Direction::rising ? 1 : -1;
    const double growth = turn * risk.slope;
    const double at_full_load = turn * peer->risk.slope / (by_load ? *share : 1.0);
    const double lasts = lasts_horizons * to_seconds(longest);
    if (growth > 0 && at_full_load >= alike_min * growth && peer->risk.headroom < at_full_load * lasts)
      return Helps::no;
  }
  return told ? Helps::yes : Helps::unknown;
}

}  // namespace foreshadow::foresee
