#include "foresee/risk/reason.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/units.hpp"

namespace foreshadow::foresee {
namespace {

struct Name {
  std::string_view base;   // without labels
  std::string_view label;  // the first label's value
};

Name split(std::string_view signal) {
  const auto brace = signal.find('{');
  Name name{signal.substr(0, brace), {}};
  if (brace == std::string_view::npos) return name;
  const auto open = signal.find('"', brace);
  const auto close = open == std::string_view::npos ? open : signal.find('"', open + 1);
  if (close != std::string_view::npos) name.label = signal.substr(open + 1, close - open - 1);
  return name;
}

// A speed of change in the unit of time that keeps the number readable.
std::string spoken_rate(const std::string& signal, double per_second) {
  struct Unit {
    double seconds;
    const char* name;
  };
  constexpr std::array units{Unit{1, "s"}, Unit{60, "min"}, Unit{3600, "h"}, Unit{86400, "day"}};
  const auto base = split(signal).base;
  const double least = base.ends_with("_bytes")                                 ? 10 * 1024.0
                       : base.ends_with("_seconds") || base.ends_with("_ratio") ? 1e-3
                                                                                : 0.1;
  for (const auto& unit : units)
    if (per_second * unit.seconds >= least || unit.seconds == units.back().seconds)
      return spoken_value(signal, per_second * unit.seconds) + "/" + unit.name;
  return {};
}

}  // namespace

std::string spoken_name(const std::string& signal) {
  const auto [base, label] = split(signal);
  std::string words(base);
  for (const std::string_view unit : {"_bytes", "_seconds", "_ratio"})
    if (words.ends_with(unit)) words.resize(words.size() - unit.size());
  if (words.starts_with("process_resident")) words.erase(0, 8);
  std::ranges::replace(words, '_', ' ');
  if (!label.empty()) words += fmt::format(" ({})", label);
  return words;
}

std::string spoken_value(const std::string& signal, double value) {
  const auto base = split(signal).base;
  if (base.ends_with("_bytes")) return (value < 0 ? "-" : "") + format_bytes(std::abs(value));
  if (base.ends_with("_ratio")) return fmt::format("{:.3g} %", value * 100);
  if (base.ends_with("_seconds")) {
    if (std::abs(value) < 1) return fmt::format("{:.3g} ms", value * 1000);
    return fmt::format("{:.3g} s", value);
  }
  return fmt::format("{:.4g}", value);
}

Reason explain(const Signal& signal, const SignalRisk& risk) {
  Reason reason;
  reason.signal = signal.name;
  reason.score = risk.passages.empty() ? 0 : risk.passages.back().probability;
  reason.value = risk.value;
  reason.limit = signal.limit->value;
  reason.time_to_limit = risk.time_to_limit;
  const auto name = spoken_name(signal.name);
  const auto value = spoken_value(signal.name, risk.value);
  const auto limit = spoken_value(signal.name, signal.limit->value);
  const bool rising = signal.limit->direction == Direction::rising;
  if (risk.crossed) {
    reason.text = fmt::format("{} {} is {} its limit of {}", name, value, rising ? "above" : "below", limit);
    return reason;
  }
  const double toward = rising ? risk.slope : -risk.slope;
  if (risk.time_to_limit && toward > 0)
    reason.text = fmt::format("{} {} {} {}; reaches {} in {}", name, value, rising ? "rises" : "falls",
                              spoken_rate(signal.name, toward), limit, format_duration(*risk.time_to_limit));
  else
    reason.text = fmt::format("{} {} is within its usual swing of {}", name, value, limit);
  return reason;
}

}  // namespace foreshadow::foresee
