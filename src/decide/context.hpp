// What one step works on, for one resource: shared by the parts of the lifecycle, never seen outside decide.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "decide/state.hpp"

namespace foreshadow::decide {

struct Context {
  State& state;
  Lifecycle& l;
  Time now;
  std::vector<Effect>& effects;
  std::vector<EffectId>& cancellations;

  EffectId start(EffectBody body, std::string why);
  // Tells a person, once: the same text is not repeated for ten minutes.
  void page(std::string text);
  void enter(Phase phase);
  void enter(HandoverStep step);
  void retry_after(Millis delay) { l.retry_at = now + delay; }
  void cancel_pending();
};

template <class T>
bool is_pending(const Lifecycle& l) {
  for (const auto& p : l.pending)
    if (std::holds_alternative<T>(p.effect.body)) return true;
  return false;
}
// Anything but pages under way.
bool busy(const Lifecycle& l);

// "score 0.83 within 12s (threshold 0.80); resident memory ..." from the newest outlook.
std::string claim(const Lifecycle& l, const ThresholdRule& rule, double threshold);

}  // namespace foreshadow::decide
