#include "app/differences_view.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/json_view.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

constexpr int kFieldsShownMax = 30;
constexpr std::size_t kSamplesShownMax = 8;

std::string count(const json& j) { return fmt::format("{:.0f}", number(j)); }
std::string percent(const json& j) { return fmt::format("{:.2f} %", number(j) * 100); }
std::string latency(const json& side) {
  return fmt::format("{:.1f}/{:.1f}", number(at(side, "p50_ms")), number(at(side, "p99_ms")));
}

std::string title(const json& answer) {
  const auto shadow = text(at(answer, "shadow"), "");
  return fmt::format("{} at gateway {}: {}", text(at(answer, "resource")), text(at(answer, "gateway")),
                     shadow.empty() ? "nothing compared yet" : "shadow " + shadow);
}

std::string segment_table(const json& answer, const Terminal& terminal) {
  Table table({"SEGMENT", "COMPARED", "EQUAL", "ONLY NOISE", "DIFFERING", "NOT COMPARED", "NOISE PAIRS",
               "PRIMARY P50/P99 ms", "SHADOW P50/P99 ms"});
  for (const auto& s : at(answer, "segments")) {
    const auto skipped = number(at(s, "skipped", "no_answer")) + number(at(s, "skipped", "busy"));
    table.row({{text(at(s, "segment"))},
               {count(at(s, "compared"))},
               {count(at(s, "equal"))},
               {count(at(s, "only_noise"))},
               {count(at(s, "differing")), number(at(s, "differing")) > 0 ? Paint::bad : Paint::plain},
               {fmt::format("{:.0f}", skipped)},
               {count(at(s, "noise_pairs"))},
               {latency(at(s, "latency", "primary"))},
               {latency(at(s, "latency", "shadow"))}});
  }
  return table.text(terminal);
}

std::string field_table(const json& answer, const Terminal& terminal) {
  Table table({"SEGMENT", "FIELD", "DIFFERED", "LATELY", "NOISE LATELY", "VERDICT"});
  int shown = 0, left_out = 0;
  for (const auto& s : at(answer, "segments"))
    for (const auto& f : at(s, "fields")) {
      if (++shown > kFieldsShownMax) {
        ++left_out;
        continue;
      }
      const bool differs = yes(at(f, "differs"));
      table.row({{text(at(s, "segment"))},
                 {text(at(f, "field"))},
                 {count(at(f, "differed"))},
                 {percent(at(f, "rate"))},
                 {percent(at(f, "noise_rate"))},
                 {differs ? "differs" : "noise", differs ? Paint::bad : Paint::dim}});
    }
  if (shown == 0) return {};
  auto out = "\n" + table.text(terminal);
  if (left_out > 0) out += fmt::format("and {} more: -o json\n", left_out);
  return out;
}

std::string samples(const json& answer, const Terminal& terminal) {
  const auto& all = at(answer, "samples");
  if (!all.is_array() || all.empty()) return {};
  std::string out = "\n" + terminal.paint(Paint::bold, "newest differing answers") + "\n";
  const auto shown = std::min(kSamplesShownMax, all.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& sample = all[all.size() - 1 - i];
    out += fmt::format("{}  {}\n", text(at(sample, "segment")), text(at(sample, "request")));
    for (const auto& d : at(sample, "differences"))
      out += fmt::format("  {} {} -> {}\n", terminal.paint(Paint::dim, text(at(d, "field"))), text(at(d, "primary")),
                         text(at(d, "shadow")));
  }
  return out;
}

}  // namespace

std::string differences_text(const json& differences, const Terminal& terminal) {
  std::string out;
  for (const auto& answer : at(differences, "gateways")) {
    if (!out.empty()) out += "\n";
    out += terminal.paint(Paint::bold, title(answer)) + "\n" + segment_table(answer, terminal) +
           field_table(answer, terminal) + samples(answer, terminal);
  }
  for (const auto& silent : at(differences, "gateways_silent"))
    out += terminal.paint(Paint::bad, fmt::format("gateway {} is silent: {}", text(at(silent, "gateway")),
                                                  text(at(silent, "why")))) +
           "\n";
  return out;
}

}  // namespace foreshadow::app
