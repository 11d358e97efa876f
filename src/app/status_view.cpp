#include "app/status_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/json_view.hpp"
#include "base/units.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

std::string duration(const json& j) { return j.is_number() ? format_duration(Millis{j.get<std::int64_t>()}) : "-"; }

// As Outlook::score_within: at the smallest horizon that is long enough, else at the longest.
double score_within(const json& outlook, double horizon_ms) {
  double score = 0;
  for (const auto& s : at(outlook, "scores")) {
    score = number(at(s, "score"));
    if (number(at(s, "horizon")) >= horizon_ms) break;
  }
  return score;
}

std::string scores(const json& resource) {
  const auto& outlook = at(resource, "outlook");
  if (!yes(at(outlook, "known"))) return "unknown";
  const auto& thresholds = at(resource, "thresholds");
  const auto part = [&](const char* which) {
    const auto horizon = number(at(thresholds, which, "horizon_ms"));
    return fmt::format("{:.2f}/{}", score_within(outlook, horizon), duration(at(thresholds, which, "horizon_ms")));
  };
  return part("shadowing") + " " + part("critical");
}

Paint paint_of_risk(std::string_view risk) {
  if (risk == "high") return Paint::bad;
  if (risk == "raised" || risk == "unknown") return Paint::warn;
  return Paint::good;
}

std::string phase(const json& resource) {
  const auto step = text(at(resource, "step"), "none");
  return text(at(resource, "phase")) + (step == "none" ? "" : ":" + step);
}

std::string blocked(const json& resource, Time now) {
  std::string out;
  if (yes(at(resource, "paused"))) out = "paused";
  if (yes(at(resource, "bypassed"))) out += out.empty() ? "bypassed" : ", bypassed";
  if (yes(at(resource, "frozen"))) out += out.empty() ? "frozen" : ", frozen";
  if (const auto& until = at(resource, "blocked_until_ms"); until.is_number())
    out += (out.empty() ? "for " : ", for ") +
           format_duration(std::max(Millis{0}, time_from_ms(until.get<std::int64_t>()) - now));
  return out.empty() ? "-" : out;
}

std::string resource_table(const json& status, Time now, const Terminal& terminal) {
  Table table(
      {"RESOURCE", "RISK", "SCORE", "LIMIT IN", "PHASE", "SERVES", "SHADOW", "LAG", "EPOCH", "AUTONOMY", "BLOCKED"});
  for (const auto& r : at(status, "resources")) {
    const std::string risk = risk_word(r);
    table.row({{text(at(r, "name")), Paint::bold},
               {risk, paint_of_risk(risk)},
               {scores(r)},
               {duration(at(r, "outlook", "time_to_limit"))},
               {phase(r)},
               {text(at(r, "current", "id"))},
               {text(at(r, "shadow", "id"))},
               {duration(at(r, "lag_ms"))},
               {fmt::format("{:.0f}", number(at(r, "epoch")))},
               {text(at(r, "autonomy"))},
               {blocked(r, now)}});
  }
  return table.text(terminal);
}

std::string details(const json& r, Time now, const Terminal& terminal) {
  std::string out;
  const auto line = [&](std::string_view head, const std::string& what) {
    out += fmt::format("  {} {}\n", terminal.paint(Paint::dim, head), what);
  };
  const auto& outlook = at(r, "outlook");
  int shown = 0;
  for (const auto& reason : at(outlook, "reasons"))
    if (yes(at(outlook, "known")) && number(at(reason, "score")) >= 0.05 && shown++ < 3)
      line("why", fmt::format("{:.2f} {}", number(at(reason, "score")), text(at(reason, "text"))));
  if (yes(at(outlook, "degraded"))) line("now", "a limit or an objective is crossed already");
  if (at(outlook, "handover_helps") == "no") line("now", "the shadow suffers too: a handover would not help");
  if (const auto why = text(at(r, "blocked_why"), ""); !why.empty()) line("waits", why);
  if (yes(at(r, "bypassed")))
    line("note",
         fmt::format("bypassed by {}: clients come past the gateways, nothing moves until foreshadow bypass {} --end",
                     text(at(r, "bypassed_by")), text(at(r, "name"))));
  if (const auto asked = text(at(r, "asked"), "none"); asked != "none")
    line("asks", fmt::format("approve the {}: foreshadow approve {}", asked, text(at(r, "name"))));
  for (const auto& p : at(r, "pending")) {
    const auto since =
        at(p, "since_ms").is_number()
            ? format_duration(std::max(Millis{0}, now - time_from_ms(at(p, "since_ms").get<std::int64_t>())))
            : "-";
    auto progress = text(at(p, "detail"), "");
    if (number(at(p, "fraction")) > 0) progress = fmt::format("{:.0f} % {}", number(at(p, "fraction")) * 100, progress);
    line("does", fmt::format("{} for {}{}", text(at(p, "effect")), since, progress.empty() ? "" : ": " + progress));
  }
  if (const auto& outcome = at(r, "last_outcome"); outcome.is_object())
    line("last", fmt::format("{}: {}", text(at(outcome, "verdict")), text(at(outcome, "why"))));
  return out.empty() ? out : terminal.paint(Paint::bold, text(at(r, "name"))) + "\n" + out;
}

// Instances that are not simply given their work.
std::string instance_lines(const json& status, const Terminal& terminal) {
  std::string out;
  for (const auto& gateway : at(status, "gateways"))
    for (const auto& instance : at(gateway, "instances")) {
      const auto circuit = text(at(instance, "circuit"), "closed");
      const auto queued = number(at(instance, "queued"));
      const auto who = fmt::format("{}: {} ", text(at(gateway, "gateway")), text(at(instance, "instance")));
      if (circuit != "closed")
        out += terminal.paint(Paint::warn, fmt::format("{}{} by its gateway: {}", who,
                                                       circuit == "open" ? "is left alone" : "is being tried",
                                                       text(at(instance, "why"), ""))) +
               "\n";
      if (queued > 0)
        out += terminal.paint(Paint::warn, fmt::format("{}is busy, {:.0f} wait for it", who, queued)) + "\n";
    }
  return out;
}

std::string gateway_table(const json& status, const Terminal& terminal) {
  if (at(status, "gateways").empty() && at(status, "gateways_silent").empty()) return {};
  Table table(
      {"GATEWAY", "RESOURCE", "STATE", "EPOCH", "VERSION", "SESSIONS", "IN FLIGHT", "PARKED", "REQUESTS", "ERRORS"});
  for (const auto& g : at(status, "gateways")) {
    double requests = 0, errors = 0;
    for (const auto& segment : at(g, "segments"))
      for (const auto* side : {"current", "other"}) {
        requests += number(at(segment, side, "requests"));
        errors += number(at(segment, side, "errors"));
      }
    const auto cell = [&](const char* key) { return Table::Cell{fmt::format("{:.0f}", number(at(g, key)))}; };
    const auto state = text(at(g, "hold"));
    table.row({{text(at(g, "gateway"))},
               {text(at(g, "resource"))},
               {state, state == "open" ? Paint::plain : Paint::warn},
               cell("epoch"),
               cell("version"),
               cell("sessions"),
               cell("in_flight"),
               cell("parked"),
               {fmt::format("{:.0f}", requests)},
               {fmt::format("{:.0f}", errors), errors > 0 ? Paint::bad : Paint::plain}});
  }
  for (const auto& g : at(status, "gateways_silent"))
    table.row({{text(at(g, "gateway"))}, {"-"}, {"silent: " + text(at(g, "why")), Paint::bad}});
  return "\n" + table.text(terminal) + instance_lines(status, terminal);
}

std::string banner(const json& status, const Terminal& terminal) {
  std::string out;
  const auto& controller = at(status, "controller");
  if (!yes(at(controller, "alive"))) {
    const auto age = at(status, "data_age_ms").is_number()
                         ? duration(at(status, "data_age_ms")) + " old, from the journal"
                         : std::string("not there");
    out += terminal.paint(Paint::bad,
                          fmt::format("controller down ({}); what follows is {}", text(at(controller, "why")), age)) +
           "\n";
  }
  if (const auto damage = text(at(status, "journal_damage"), ""); !damage.empty())
    out += terminal.paint(Paint::bad, "journal: " + damage) + "\n";
  if (const auto frozen = text(at(status, "frozen_why"), ""); !frozen.empty())
    out += terminal.paint(Paint::warn, "all planned action is frozen: " + frozen) + "\n";
  if (yes(at(status, "paused"))) out += terminal.paint(Paint::warn, "everything is paused: foreshadow resume") + "\n";
  return out;
}

}  // namespace

const char* risk_word(const json& resource) {
  const auto& outlook = at(resource, "outlook");
  if (!yes(at(outlook, "known"))) return "unknown";
  const auto reached = [&](const char* which) {
    const auto& rule = at(resource, "thresholds", which);
    return score_within(outlook, number(at(rule, "horizon_ms"))) >= number(at(rule, "threshold"));
  };
  if (yes(at(outlook, "degraded")) || reached("critical")) return "high";
  return reached("shadowing") ? "raised" : "low";
}

std::string status_text(const json& status, Time now, const Terminal& terminal) {
  auto out = banner(status, terminal) + resource_table(status, now, terminal);
  for (const auto& resource : at(status, "resources")) out += details(resource, now, terminal);
  return out + gateway_table(status, terminal);
}

}  // namespace foreshadow::app
