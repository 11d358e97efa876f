#include "publish/prometheus_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace foreshadow::publish {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '"')
      out += "\\\"";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// Families in the order first written to; each with its samples together, as the format wants.
class Page {
 public:
  struct Family {
    std::string type;
    std::string help;
    std::string lines;
  };
  void add(const std::string& name, const char* type, const char* help, const Labels& labels, double value) {
    auto [it, fresh] = families_.try_emplace(name);
    if (fresh) {
      it->second = {type, help, {}};
      order_.push_back(name);
    }
    std::string series = name;
    for (std::size_t i = 0; i < labels.size(); ++i)
      series += fmt::format("{}{}=\"{}\"", i ? ',' : '{', labels[i].first, escaped(labels[i].second));
    if (!labels.empty()) series += '}';
    // A scraper refuses the whole page over one series given twice; the first is as good as the second.
    if (!seen_.insert(series).second) return;
    it->second.lines += series + ' ' + number(value) + '\n';
  }
  std::string text() const {
    std::string out;
    for (const auto& name : order_) {
      const auto& family = families_.at(name);
      out += fmt::format("# HELP {} {}\n# TYPE {} {}\n{}", name, family.help, name, family.type, family.lines);
    }
    return out;
  }

 private:
  std::map<std::string, Family> families_;
  std::vector<std::string> order_;
  std::set<std::string> seen_;
};

std::string horizon_label(Millis horizon) { return number(to_seconds(horizon)); }

void add_resource(Page& page, const ResourceView& view) {
  const auto& outlook = view.outlook;
  const Labels resource{{"resource", outlook.resource}};
  page.add("foreshadow_outlook_known", "gauge", "1 when there are enough fresh data for a score.", resource,
           outlook.known);
  page.add("foreshadow_degraded", "gauge", "1 when a limit or objective is crossed now.", resource, outlook.degraded);
  page.add("foreshadow_paused", "gauge", "1 while an operator holds all action back.", resource, view.paused);
  page.add("foreshadow_phase_info", "gauge", "Lifecycle phase, as a label; always 1.",
           {{"resource", outlook.resource}, {"phase", to_string(view.phase)}}, 1);
  // A score that rests on nothing is left out, never shown as 0: absence alerts, zero reassures.
  if (!outlook.known) return;
  page.add("foreshadow_drift_ratio", "gauge", "How unlike its usual self the resource behaves, 0 to 1.", resource,
           outlook.drift);
  for (const auto& score : outlook.scores) {
    const Labels labels{{"resource", outlook.resource}, {"horizon_seconds", horizon_label(score.horizon)}};
    page.add("foreshadow_degradation_score_ratio", "gauge",
             "Probability that the resource degrades past a limit or objective within the horizon.", labels,
             score.score);
    page.add("foreshadow_degradation_score_low_ratio", "gauge", "Lower end of the score's band.", labels, score.low);
    page.add("foreshadow_degradation_score_high_ratio", "gauge", "Upper end of the score's band.", labels, score.high);
  }
  if (outlook.time_to_limit)
    page.add("foreshadow_time_to_limit_seconds", "gauge", "Median time until the first limit is crossed.", resource,
             to_seconds(*outlook.time_to_limit));
  for (const auto& reason : outlook.reasons)
    if (!reason.signal.empty())
      page.add("foreshadow_signal_score_ratio", "gauge",
               "First-passage probability of one signal at the longest horizon.",
               {{"resource", outlook.resource}, {"signal", reason.signal}}, reason.score);
}

// A signal's own labels become ours: request_rate{segment="orders"}.
void add_value(Page& page, const ObservedValue& observed) {
  const std::string_view signal = observed.signal;
  const auto brace = signal.find('{');
  Labels labels{{"resource", observed.resource}, {"instance", observed.instance}};
  if (brace != std::string_view::npos) {
    const auto equals = signal.find("=\"", brace), end = signal.rfind("\"}");
    if (equals == std::string_view::npos || end == std::string_view::npos || end < equals + 2) return;
    labels.emplace_back(signal.substr(brace + 1, equals - brace - 1),
                        std::string(signal.substr(equals + 2, end - equals - 2)));
  }
  page.add("foreshadow_observed_" + std::string(signal.substr(0, brace)), "gauge",
           "Newest value of a signal that Foreshadow observes.", labels, observed.value);
}

void add_gateway(Page& page, const GatewayReport& report) {
  const Labels gateway{{"gateway", report.gateway}, {"resource", report.resource}};
  page.add("foreshadow_gateway_sessions", "gauge", "Client sessions open.", gateway, report.sessions);
  page.add("foreshadow_gateway_requests_in_flight", "gauge", "Requests or transactions under way.", gateway,
           report.in_flight);
  page.add("foreshadow_gateway_requests_parked", "gauge", "Work that waits for a hold or seal to end.", gateway,
           report.parked);
  page.add("foreshadow_gateway_held", "gauge", "1 while new work is parked or sealed.", gateway,
           report.hold != HoldState::open);
  page.add("foreshadow_gateway_epoch", "gauge", "Epoch of the route table in force.", gateway,
           static_cast<double>(report.epoch));
  if (report.mirror_pace) {
    page.add("foreshadow_gateway_mirror_rate_ratio", "gauge", "Share of the work to be mirrored that is.", gateway,
             report.mirror_pace->rate);
    page.add("foreshadow_gateway_mirror_slowed_down_total", "counter", "Times that mirroring was found to do harm.",
             gateway, static_cast<double>(report.mirror_pace->slowed_down));
  }
  for (const auto& segment : report.segments) {
    for (const auto& [side, stats] : {std::pair{"current", &segment.current}, std::pair{"other", &segment.other}}) {
      const Labels labels{
          {"gateway", report.gateway}, {"resource", report.resource}, {"segment", segment.segment}, {"side", side}};
      page.add("foreshadow_gateway_requests_total", "counter", "Requests answered or failed.", labels,
               static_cast<double>(stats->requests));
      page.add("foreshadow_gateway_request_errors_total", "counter", "Requests that failed as clients saw it.", labels,
               static_cast<double>(stats->errors));
    }
    const Labels labels{{"gateway", report.gateway}, {"resource", report.resource}, {"segment", segment.segment}};
    const auto mirror = [&](const char* name, const char* help, std::uint64_t value) {
      page.add(name, "counter", help, labels, static_cast<double>(value));
    };
    mirror("foreshadow_gateway_mirrored_requests_total", "Copies sent to the shadow.", segment.mirror.sent);
    mirror("foreshadow_gateway_mirror_dropped_total", "Copies not sent, so that nobody waits.", segment.mirror.dropped);
    mirror("foreshadow_gateway_mirror_errors_total", "Copies that failed.", segment.mirror.errors);
    mirror("foreshadow_gateway_mirror_mismatches_total", "Copies answered unlike the original.",
           segment.mirror.mismatched);
  }
}

}  // namespace

std::string prometheus_text(const MetricsView& view) {
  Page page;
  for (const auto& resource : view.resources) add_resource(page, resource);
  for (const auto& value : view.values) add_value(page, value);
  for (const auto& report : view.gateways) add_gateway(page, report);
  return page.text();
}

}  // namespace foreshadow::publish
