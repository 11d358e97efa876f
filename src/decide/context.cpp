#include "decide/context.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"

namespace foreshadow::decide {

EffectId Context::start(EffectBody body, std::string why) {
  Effect effect{state.next_effect++, l.resource.id, state.term, std::move(body), std::move(why)};
  l.pending.push_back({effect, now, false, 0, ""});
  effects.push_back(std::move(effect));
  return effects.back().id;
}

void Context::page(std::string text) {
  if (text == l.last_page && l.page_quiet_until && now < *l.page_quiet_until) return;
  l.last_page = text;
  l.page_quiet_until = now + std::chrono::minutes{10};
  start(Page{text}, "a person should know");
}

void Context::enter(Phase phase) {
  l.phase = phase;
  l.phase_since = now;
  l.retry_at.reset();
  l.attempts = 0;
  enter(HandoverStep::none);
}

void Context::enter(HandoverStep step) {
  l.step = step;
  l.step_since = now;
}

void Context::cancel_pending() {
  for (auto& p : l.pending) {
    if (p.cancelled || std::holds_alternative<Page>(p.effect.body)) continue;
    p.cancelled = true;
    cancellations.push_back(p.effect.id);
  }
}

bool busy(const Lifecycle& l) {
  return std::any_of(l.pending.begin(), l.pending.end(),
                     [](const Pending& p) { return !std::holds_alternative<Page>(p.effect.body); });
}

std::string claim(const Lifecycle& l, const ThresholdRule& rule, double threshold) {
  if (!l.outlook || !l.outlook->known) return "no current outlook";
  std::string text = fmt::format("score {:.2f} within {} (threshold {:.2f})", l.outlook->score_within(rule.horizon),
                                 format_duration(rule.horizon), threshold);
  for (const auto& reason : l.outlook->reasons) {
    text += "; " + reason.text;
    if (text.size() > 400) break;
  }
  return text;
}

}  // namespace foreshadow::decide
