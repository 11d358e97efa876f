#include "foresee/look_ahead.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"
#include "foresee/risk/assess.hpp"
#include "foresee/risk/handover_helps.hpp"
#include "foresee/risk/reason.hpp"

namespace foreshadow::foresee {
namespace {

constexpr double worth_a_word = 0.05;
constexpr double calm_score = 0.2;
constexpr double calm_drift = 0.3;
constexpr std::uint64_t drifting_one_in = 64;
constexpr std::size_t reasons_max = 8;
constexpr std::size_t recent_samples = 32;

std::vector<Assessed> assess_side(const Window& window, const InstanceId& instance, const AssessSettings& settings) {
  std::vector<Assessed> side;
  for (const auto& signal : window.signals)
    if (signal.instance == instance && signal.limit) side.push_back({&signal, assess(signal, window.at, settings)});
  return side;
}

bool enough_known(const std::vector<Assessed>& side) {
  const auto hard = [](const Assessed& a) { return a.signal->limit->hard; };
  const auto known = [](const Assessed& a) { return a.risk.known; };
  if (std::ranges::none_of(side, hard)) return std::ranges::any_of(side, known);
  return std::ranges::all_of(side, [&](const Assessed& a) { return !hard(a) || known(a); });
}

// The sample that says so, if the newest word on the process is that it is gone.
const Sample* process_gone(const Window& window) {
  for (const auto& s : window.signals)
    if (s.instance == window.current && s.name == "process_up" && !s.stale && !s.samples.empty() &&
        s.samples.back().value == 0)
      return &s.samples.back();
  return nullptr;
}

// Sizes move for good and sums only grow: what is usual of them is no baseline for what comes.
bool has_a_usual_value(const std::string& name) {
  return name.find("_bytes") == std::string::npos || name.find("_rate") != std::string::npos;
}

struct Drift {
  double score = 0;
  const Signal* signal = nullptr;
  double usual = 0;
};

Drift measure_drift(const Window& window, const Memory& memory) {
  Drift most;
  for (const auto& signal : window.signals) {
    if (signal.instance != window.current || signal.stale) continue;
    const auto known = memory.signals.find(signal.name);
    if (known == memory.signals.end()) continue;
    const auto recent = std::span(signal.samples).last(std::min(recent_samples, signal.samples.size()));
    const double score = drift_score(known->second, recent);
    if (score <= most.score) continue;
    auto values = known->second.values;
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    most = {score, &signal, values[values.size() / 2]};
  }
  return most;
}

// Values enter the baseline once they are older than what drift is measured on, and not while a limit is near or an
// event is on. While drifting they enter slowly: what lasts becomes the usual, what passes does not.
void learn_usual(const Window& window, const Settings& settings, double score, double drift, Memory& memory) {
  const bool event = std::ranges::any_of(
      window.calendar, [&](const CalendarEntry& e) { return e.starts <= window.at && window.at < e.ends; });
  for (const auto& signal : window.signals) {
    if (signal.instance != window.current || signal.samples.size() <= recent_samples || !has_a_usual_value(signal.name))
      continue;
    auto& baseline = memory.signals[signal.name];
    const auto until = signal.samples[signal.samples.size() - recent_samples - 1].at;
    if (score >= calm_score || event)
      baseline.newest = std::max(baseline.newest, until);
    else
      extend(baseline, signal.samples, until, static_cast<std::size_t>(settings.baseline_samples),
             drift < calm_drift ? 1 : drifting_one_in);
  }
}

// A single sample may be a fluke: above `score_low` only what the last looks all say. Falling needs no confirmation.
std::vector<double> confirm(std::vector<double> raw, Time newest, const Settings& settings, Memory& memory) {
  const auto wanted = static_cast<std::size_t>(std::max(1, settings.confirmations));
  if (!memory.recent.empty() && memory.recent.back().size() != raw.size()) memory.recent.clear();
  if (!memory.recent.empty() && newest <= memory.newest) {
    for (std::size_t i = 0; i < raw.size(); ++i) memory.recent.back()[i] = std::min(memory.recent.back()[i], raw[i]);
  } else {
    memory.recent.push_back(raw);
    if (memory.recent.size() > wanted) memory.recent.erase(memory.recent.begin());
  }
  memory.newest = newest;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    double agreed = memory.recent.size() < wanted ? std::min(raw[i], settings.score_low) : raw[i];
    for (const auto& look : memory.recent)
      agreed = std::min(agreed, std::max(look[i], std::min(raw[i], settings.score_low)));
    raw[i] = agreed;
  }
  return raw;
}

void explain_all(const std::vector<Assessed>& side, const Drift& drift, Outlook& outlook) {
  std::vector<const Assessed*> ranked;
  for (const auto& a : side)
    if (a.risk.known && a.risk.passages.back().probability >= worth_a_word) ranked.push_back(&a);
  std::ranges::sort(ranked, [](const Assessed* a, const Assessed* b) {
    const double pa = a->risk.passages.back().probability, pb = b->risk.passages.back().probability;
    if (pa != pb) return pa > pb;
    const auto ta = a->risk.time_to_limit.value_or(Millis::max()), tb = b->risk.time_to_limit.value_or(Millis::max());
    if (ta != tb) return ta < tb;
    return a->signal->name < b->signal->name;
  });
  for (const auto* a : ranked) {
    outlook.reasons.push_back(explain(*a->signal, a->risk));
    if (a->risk.time_to_limit)
      outlook.time_to_limit = std::min(outlook.time_to_limit.value_or(Millis::max()), *a->risk.time_to_limit);
  }
  for (const auto& a : side)
    if (!a.risk.known && a.signal->limit->hard)
      outlook.reasons.push_back({.signal = a.signal->name,
                                 .limit = a.signal->limit->value,
                                 .text = fmt::format("{} is unknown: {}", spoken_name(a.signal->name),
                                                     a.signal->stale ? "no fresh sample" : "too few samples yet")});
  if (side.empty()) outlook.reasons.push_back({.text = "no signal with a limit is watched"});
  if (drift.signal && drift.score >= 0.5) {
    const auto& samples = drift.signal->samples;
    outlook.reasons.push_back({.signal = drift.signal->name,
                               .value = samples.back().value,
                               .text = fmt::format("{} {} is unlike its usual {}", spoken_name(drift.signal->name),
                                                   spoken_value(drift.signal->name, samples.back().value),
                                                   spoken_value(drift.signal->name, drift.usual))});
  }
  if (outlook.reasons.size() > reasons_max) outlook.reasons.resize(reasons_max);
}

}  // namespace

Millis window_span(const Settings& settings) {
  return settings.period ? std::max(4 * settings.horizons.back(), 4 * *settings.period) : 4 * settings.horizons.back();
}

Outlook look_ahead(const Window& window, const Settings& settings, Memory& memory) {
  FS_ASSERT(!settings.horizons.empty() && std::ranges::is_sorted(settings.horizons));
  if (memory.current != window.current) memory = Memory{.current = window.current};
  Outlook outlook;
  outlook.resource = window.resource;
  outlook.at = window.at;

  const AssessSettings assessing{.horizons = settings.horizons,
                                 .samples_min = static_cast<std::size_t>(std::max(4, settings.samples_min)),
                                 .history_min = settings.history_min,
                                 .period = settings.period};
  const auto current = assess_side(window, window.current, assessing);
  const auto shadow = window.shadow ? assess_side(window, *window.shadow, assessing) : std::vector<Assessed>{};
  const auto* gone = process_gone(window);
  outlook.known = enough_known(current);
  outlook.degraded = gone || std::ranges::any_of(current, [](const Assessed& a) { return a.risk.crossed; });

  std::vector<double> raw(settings.horizons.size(), gone ? 1.0 : 0.0);
  std::vector<double> low = raw, high = raw;
  Time newest = gone ? gone->at : Time{};
  for (const auto& [signal, risk] : current) {
    if (!risk.known) continue;
    newest = std::max(newest, signal->samples.back().at);
    for (std::size_t i = 0; i < raw.size(); ++i) {
      raw[i] = std::max(raw[i], risk.passages[i].probability);
      low[i] = std::max(low[i], risk.passages[i].low);
      high[i] = std::min(1.0, high[i] + risk.passages[i].high);
    }
  }
  const double raw_longest = raw.back();
  if (!outlook.known) memory.recent.clear();
  const auto agreed = confirm(std::move(raw), newest, settings, memory);
  for (std::size_t i = 0; i < agreed.size(); ++i)
    outlook.scores.push_back(
        {settings.horizons[i], agreed[i], std::min(low[i], agreed[i]), std::max(high[i], agreed[i])});

  const auto drift = measure_drift(window, memory);
  outlook.drift = drift.score;
  learn_usual(window, settings, raw_longest, drift.score, memory);

  outlook.handover_helps = handover_helps(window, current, shadow, settings.horizons.back());
  if (gone) {
    outlook.reasons.push_back({.signal = "process_up", .score = 1, .text = "the process is gone"});
    outlook.time_to_limit = Millis{0};
  }
  explain_all(current, drift, outlook);
  return outlook;
}

}  // namespace foreshadow::foresee
