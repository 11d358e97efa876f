#include "learn/thresholds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foreshadow::learn {

Tuning tune(const std::vector<Outcome>& outcomes, const Tuning& now, const ThresholdBounds& bounds) {
  Tuning next = now;
  int resolved = 0, confirmed = 0;
  double promised = 0;
  for (const auto& o : outcomes) {
    if (o.verdict == Verdict::censored) continue;
    ++resolved;
    promised += o.score;
    confirmed += o.verdict == Verdict::confirmed ? 1 : 0;
  }
  next.resolved = resolved;
  if (resolved < resolved_min) {
    next.why = fmt::format("{} of {} resolved outcomes needed before a threshold moves", resolved, resolved_min);
    return next;
  }
  if (resolved - now.resolved_at_move < resolved_between) return next;
  const double came = (confirmed + 1.0) / (resolved + 2.0);
  const double gap = promised / resolved - came;
  constexpr double tolerance = 0.1;
  if (std::abs(gap) <= tolerance) {
    next.why = fmt::format("the scores promised {:.2f}, {:.2f} came true: thresholds stay", promised / resolved, came);
    return next;
  }
  const double move = std::clamp(gap / 2, -move_max, move_max);
  next.critical_threshold = std::clamp(now.critical_threshold + move, bounds.critical_min, bounds.critical_max);
  next.shadowing_threshold = std::clamp(now.shadowing_threshold + move, bounds.shadowing_min, bounds.shadowing_max);
  next.resolved_at_move = resolved;
  next.why = fmt::format("the scores promised {:.2f}, {:.2f} of {} came true: critical {:.2f} -> {:.2f}", promised / resolved,
                         came, resolved, now.critical_threshold, next.critical_threshold);
  return next;
}

}  // namespace foreshadow::learn
