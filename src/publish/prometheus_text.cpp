#include "publish/prometheus_text.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <initializer_list>
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
    put(family(name, type, help), name, labels, value);
  }
  // One sample a value that the label takes.
  void add_by(const std::string& name, const char* help, const Labels& labels, std::string_view label,
              std::initializer_list<std::pair<const char*, std::uint64_t>> values) {
    for (const auto& [value, count] : values) {
      auto with = labels;
      with.emplace_back(label, value);
      add(name, "counter", help, with, static_cast<double>(count));
    }
  }
  // Of the class `le` what lies under its edge for certain: the bucket astride of it counts to the next. The sum is
  // that of the buckets' middles, exact to 1/128.
  void add_histogram(const std::string& name, const char* help, const Labels& labels, const Histogram& histogram) {
    auto& lines = family(name, "histogram", help);
    std::uint64_t count = 0;
    double sum_us = 0, lower_us = 0;
    auto edge = kEdges.begin();
    const auto cumulative = [&](const std::string& le) {
      auto with_edge = labels;
      with_edge.emplace_back("le", le);
      put(lines, name + "_bucket", with_edge, static_cast<double>(count));
    };
    for (int bucket = 0; bucket < Histogram::buckets; ++bucket) {
      const auto upper_us = Histogram::upper_us(bucket);
      for (; edge != kEdges.end() && upper_us > *edge * 1e6; ++edge) cumulative(number(*edge));
      count += histogram.at(bucket);
      sum_us += static_cast<double>(histogram.at(bucket)) * (lower_us + upper_us) / 2;
      lower_us = upper_us;
    }
    cumulative("+Inf");
    put(lines, name + "_sum", labels, sum_us / 1e6);
    put(lines, name + "_count", labels, static_cast<double>(count));
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
  // Seconds. Under the last edge of the histogram, which holds everything above.
  static constexpr std::array kEdges{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                     0.25,   0.5,     1.0,    2.5,   5.0,    10.0,  30.0, 60.0,  120.0};

  Family& family(const std::string& name, const char* type, const char* help) {
    auto [it, fresh] = families_.try_emplace(name);
    if (fresh) {
      it->second = {type, help, {}};
      order_.push_back(name);
    }
    return it->second;
  }
  void put(Family& family, const std::string& name, const Labels& labels, double value) {
    std::string series = name;
    for (std::size_t i = 0; i < labels.size(); ++i)
      series += fmt::format("{}{}=\"{}\"", i ? ',' : '{', labels[i].first, escaped(labels[i].second));
    if (!labels.empty()) series += '}';
    // A scraper refuses the whole page over one series given twice; the first is as good as the second.
    if (!seen_.insert(series).second) return;
    family.lines += series + ' ' + number(value) + '\n';
  }
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

void add_failures(Page& page, const Labels& side, const Failures& failures) {
  page.add_by("foreshadow_gateway_request_failures_total",
              "Requests that failed, by reason; client_gone is the client's doing and no error.", side, "reason",
              {{"connect", failures.connect},
               {"reset", failures.reset},
               {"timeout", failures.timeout},
               {"protocol", failures.protocol},
               {"status_5xx", failures.status_5xx},
               {"client_gone", failures.client_gone}});
}

void add_instance(Page& page, const GatewayReport& report, const InstanceStats& stats) {
  const Labels labels{{"gateway", report.gateway}, {"resource", report.resource}, {"instance", stats.instance}};
  page.add("foreshadow_gateway_instance_requests_active", "gauge", "Requests that the instance has.", labels,
           stats.busy);
  page.add("foreshadow_gateway_instance_requests_queued", "gauge", "Requests that wait for the instance to have room.",
           labels, stats.queued);
  page.add("foreshadow_gateway_instance_circuit_open", "gauge",
           "1 while the instance is left alone, or only tried with a little.", labels,
           stats.circuit != CircuitState::closed);
  page.add("foreshadow_gateway_instance_circuit_opened_total", "counter", "Times that it was left alone.", labels,
           static_cast<double>(stats.opened));
  page.add_histogram("foreshadow_gateway_instance_queue_duration_seconds",
                     "How long requests queued that went to the instance after that.", labels, stats.wait);
}

void add_refusals(Page& page, const Labels& segment, const Refusals& refusals) {
  page.add_by("foreshadow_gateway_refusals_total", "Requests that no instance was given, by reason.", segment, "reason",
              {{"parked_too_long", refusals.parked_too_long},
               {"parked_full", refusals.parked_full},
               {"queued_too_long", refusals.queued_too_long},
               {"queue_full", refusals.queue_full},
               {"circuit_open", refusals.circuit_open}});
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
  page.add("foreshadow_gateway_access_log_dropped_total", "counter",
           "Lines of the access log that were dropped, so that nobody waits.", gateway,
           static_cast<double>(report.log_lines_dropped));
  for (const auto& instance : report.instances) add_instance(page, report, instance);
  for (const auto& segment : report.segments) {
    for (const auto& [side, stats] : {std::pair{"current", &segment.current}, std::pair{"other", &segment.other}}) {
      const Labels labels{
          {"gateway", report.gateway}, {"resource", report.resource}, {"segment", segment.segment}, {"side", side}};
      page.add("foreshadow_gateway_requests_total", "counter", "Requests answered or failed.", labels,
               static_cast<double>(stats->requests));
      page.add("foreshadow_gateway_request_errors_total", "counter", "Requests that failed as clients saw it.", labels,
               static_cast<double>(stats->errors));
      add_failures(page, labels, stats->failures);
      page.add_histogram("foreshadow_gateway_request_duration_seconds",
                         "From the request received whole to the last byte of its answer sent.", labels,
                         stats->latency);
    }
    const Labels labels{{"gateway", report.gateway}, {"resource", report.resource}, {"segment", segment.segment}};
    const auto mirror = [&](const char* name, const char* help, std::uint64_t value) {
      page.add(name, "counter", help, labels, static_cast<double>(value));
    };
    page.add("foreshadow_gateway_refused_requests_total", "counter",
             "Requests that were told that nothing was done: held, queued or refused.", labels,
             static_cast<double>(segment.refused));
    add_refusals(page, labels, segment.refusals);
    page.add("foreshadow_gateway_reads_in_hold_total", "counter", "Reads that went on while a hold parked the rest.",
             labels, static_cast<double>(segment.flowed));
    page.add("foreshadow_gateway_reads_reentered_total", "counter",
             "Reads that their side would not take any more, and that waited for the switch.", labels,
             static_cast<double>(segment.reentered));
    page.add("foreshadow_gateway_diverted_requests_total", "counter",
             "Requests of the other side, done by the current one while that is left alone.", labels,
             static_cast<double>(segment.diverted));
    mirror("foreshadow_gateway_mirrored_requests_total", "Copies sent to the shadow.", segment.mirror.sent);
    mirror("foreshadow_gateway_mirror_dropped_total", "Copies not sent, so that nobody waits.", segment.mirror.dropped);
    mirror("foreshadow_gateway_mirror_paused_total", "Copies not made, while the shadow is left alone.",
           segment.mirror.paused);
    mirror("foreshadow_gateway_mirror_errors_total", "Copies that failed.", segment.mirror.errors);
    mirror("foreshadow_gateway_mirror_mismatches_total", "Copies answered unlike the original.",
           segment.mirror.mismatched);
    page.add_by("foreshadow_gateway_insured_requests_total",
                "Failures of the primary for which the shadow was asked: served, completed, or it failed too.", labels,
                "result",
                {{"served", segment.insurance.served},
                 {"completed", segment.insurance.completed},
                 {"failed", segment.insurance.failed}});
    page.add_histogram("foreshadow_gateway_mirror_duration_seconds", "From a copy's turn to the end of its answer.",
                       labels, segment.mirror.latency);
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
