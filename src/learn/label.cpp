#include "learn/label.hpp"

#include <fmt/format.h>

#include "base/units.hpp"

namespace foreshadow::learn {

Outcome label(Outcome facts, double load_ratio_min) {
  const auto say = [&](Verdict verdict, const std::string& why) {
    facts.verdict = verdict;
    facts.why = facts.why.empty() ? why : facts.why + "; " + why;
    return facts;
  };
  if (facts.horizon == Millis{0}) return say(Verdict::censored, "nothing had been predicted");
  if (facts.failed_at) {
    const auto after = *facts.failed_at - facts.predicted_at;
    const auto text = fmt::format("failed {} after the prediction, which said within {}", format_duration(after),
                                  format_duration(facts.horizon));
    return say(after <= facts.horizon ? Verdict::confirmed : Verdict::late, text);
  }
  if (!facts.watched_out) return say(Verdict::censored, "not watched to the end");
  if (facts.load_ratio < load_ratio_min)
    return say(Verdict::censored, fmt::format("the old primary saw only {:.0f} % of the live work, {:.0f} % is needed",
                                              facts.load_ratio * 100, load_ratio_min * 100));
  return say(Verdict::refuted, fmt::format("did not fail under {:.0f} % of the live work", facts.load_ratio * 100));
}

}  // namespace foreshadow::learn
