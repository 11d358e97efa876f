#include "app/explain_view.hpp"

#include <fmt/format.h>

#include "api/command_json.hpp"
#include "app/event_view.hpp"
#include "app/record.hpp"
#include "base/units.hpp"
#include "domain/names.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

std::string result_text(const Step& step) {
  if (!step.done) return "no answer yet";
  const auto took = format_duration(step.done_at - step.at);
  if (step.done->error)
    return fmt::format("failed after {}: {} ({})", took, step.done->error->what, to_string(step.done->error->code));
  std::string out = "done in " + took;
  if (step.done->instance)
    out += fmt::format(", {} at {}", step.done->instance->id, step.done->instance->endpoint.text());
  if (!step.done->proof.empty()) out += ", proof " + step.done->proof;
  if (!step.done->detail.empty()) out += ", " + step.done->detail;
  return out;
}

std::string summary_of(const Effect& effect, Time at) {
  return event_summary({.type = journal::Record::Type::intent,
                        .at = at,
                        .resource = effect.resource,
                        .name = name_of(effect.body),
                        .body = encode(effect)});
}

struct Crossing {
  const char* name;
  double threshold;
  Millis horizon;
  double score;
};

std::vector<Crossing> crossings(const decide::Lifecycle& l) {
  const auto score = [&](Millis horizon) { return l.outlook ? l.outlook->score_within(horizon) : 0.0; };
  return {{"shadowing", l.tuning.shadowing_threshold, l.policy.shadowing.horizon, score(l.policy.shadowing.horizon)},
          {"critical", l.tuning.critical_threshold, l.policy.critical.horizon, score(l.policy.critical.horizon)}};
}

std::string outlook_lines(const decide::Lifecycle& l) {
  if (!l.outlook || !l.outlook->known) return "    no outlook was known\n";
  std::string out;
  for (const auto& c : crossings(l))
    out += fmt::format("    score {:.2f} within {}; the {} threshold was {:.2f}: {}\n", c.score,
                       format_duration(c.horizon), c.name, c.threshold,
                       c.score >= c.threshold ? "reached" : "not reached");
  for (const auto& reason : l.outlook->reasons)
    out += fmt::format("    {:.2f}  {}: value {:g}, limit {:g}{}; {}\n", reason.score, harmless(reason.signal),
                       reason.value, reason.limit,
                       reason.time_to_limit ? ", reached in " + format_duration(*reason.time_to_limit)
                                            : std::string(", not approaching"),
                       harmless(reason.text));
  out += fmt::format("    drift {:.2f}; would a handover help: {}\n", l.outlook->drift,
                     l.outlook->handover_helps == Helps::yes  ? "yes"
                     : l.outlook->handover_helps == Helps::no ? "no"
                                                              : "unknown");
  return out;
}

std::string felt_text(const HoldFelt& felt) {
  const auto& waits = felt.waits.waits;
  const auto ms = [](double us) { return fmt::format("{:.1f} ms", us / 1000); };
  const auto drained = felt.waits.drained_in_us > 0 ? "drained in " + ms(static_cast<double>(felt.waits.drained_in_us))
                                                    : std::string("not drained in time");
  const auto waited = waits.total();
  return fmt::format("gateway {}, for epoch {}: {}; {} waited{}", felt.gateway, felt.waits.next_epoch, drained, waited,
                     waited == 0 ? ""
                                 : fmt::format(", p50 {}, p99 {}, longest {}", ms(waits.quantile_us(0.5)),
                                               ms(waits.quantile_us(0.99)), ms(waits.quantile_us(1))));
}

json decision_json(const Decision& d) {
  auto thresholds = json::array();
  for (const auto& c : crossings(d.lifecycle))
    thresholds.push_back({{"name", c.name},
                          {"threshold", c.threshold},
                          {"horizon_ms", c.horizon},
                          {"score", c.score},
                          {"reached", c.score >= c.threshold}});
  return {{"question", d.question},         {"at_ms", to_ms(d.at)},     {"why", d.why},
          {"outlook", d.lifecycle.outlook}, {"thresholds", thresholds}, {"guardrails", guardrails_text(d)}};
}

}  // namespace

std::vector<std::string> guardrails_text(const Decision& d) {
  const auto& l = d.lifecycle;
  std::vector<std::string> out;
  out.push_back(fmt::format("autonomy {}", to_string(l.policy.autonomy)));
  out.push_back(d.paused || l.paused ? "paused" : "not paused");
  out.push_back(d.frozen_why.empty() ? "not frozen" : "frozen: " + d.frozen_why);
  out.push_back(
      fmt::format("shadows today {} of {}, this one counted", l.provisions.size(), l.policy.budget.provisions_per_day));
  out.push_back(fmt::format("handovers today {} of {}", l.handovers.size(), l.policy.budget.handovers_per_day));
  out.push_back(l.cooldown_until && *l.cooldown_until > d.at ? "cooling down until " + clock_text(*l.cooldown_until)
                                                             : "no cooldown");
  out.push_back(fmt::format("handover {} by the policy{}", l.policy.handover_enabled ? "allowed" : "switched off",
                            l.policy.approval_required ? ", with approval" : ""));
  if (l.failover.under_way) {
    out.push_back(fmt::format("failover {} by the policy, with at most {} lost", l.policy.failover.enabled ? "allowed" : "switched off",
                              format_bytes(static_cast<double>(l.policy.failover.loss_max_bytes))));
    if (!l.failover.dead_of.empty()) out.push_back("dead: " + l.failover.dead_of);
  }
  if (l.handover_wanted || l.failover.wanted) out.push_back("asked for by an operator");
  int sessions = 0;
  for (const auto& u : l.unmovable) sessions += u.sessions;
  out.push_back(fmt::format("sessions that cannot move: {}", sessions));
  if (l.ready_took) out.push_back("a shadow takes " + format_duration(*l.ready_took) + " to be ready");
  return out;
}

std::string story_text(const Story& story, const Terminal& terminal) {
  std::string out;
  const auto head = [&](const std::string& text) { out += terminal.paint(Paint::bold, text) + "\n"; };
  if (story.steps.empty()) {
    head(story.resource.empty() ? "Nothing has been done" : "Nothing has been done for " + harmless(story.resource));
    for (const auto& line : story.now) out += "  " + harmless(line) + "\n";
    return out;
  }
  head(fmt::format("{}, from {} UTC", harmless(story.resource), day_clock_text(story.steps.front().at)));
  for (const auto& d : story.decisions) {
    head(fmt::format("Why {}, {}", d.question, clock_text(d.at)));
    out += fmt::format("    {}\n", harmless(d.why));
    out += outlook_lines(d.lifecycle);
    out +=
        fmt::format("    thresholds: {}; bounds {:.2f}..{:.2f} and {:.2f}..{:.2f}\n", harmless(d.lifecycle.tuning.why),
                    d.lifecycle.policy.bounds.shadowing_min, d.lifecycle.policy.bounds.shadowing_max,
                    d.lifecycle.policy.bounds.critical_min, d.lifecycle.policy.bounds.critical_max);
    out += "  Guardrails\n";
    for (const auto& line : guardrails_text(d)) out += "    " + harmless(line) + "\n";
  }
  head("What was done");
  for (const auto& step : story.steps) {
    const bool failed = step.done && step.done->error;
    out += fmt::format("  {}  {}\n", clock_text(step.at), summary_of(step.effect, step.at));
    out += fmt::format("                {}\n", terminal.paint(failed      ? Paint::bad
                                                              : step.done ? Paint::good
                                                                          : Paint::warn,
                                                              harmless(result_text(step))));
  }
  for (const auto& [at, command] : story.commands)
    out += fmt::format("  {}  {} by {}{}\n", clock_text(at), to_string(command.verb), harmless(command.actor),
                       command.reason.empty() ? "" : ": " + harmless(command.reason));
  if (!story.holds.empty()) head("What clients felt");
  for (const auto& felt : story.holds) out += "  " + harmless(felt_text(felt)) + "\n";
  head("What became of it");
  if (!story.outcome) return out + "  not known yet\n";
  const auto& o = *story.outcome;
  out += fmt::format("  {}: {}\n", to_string(o.verdict), harmless(o.why));
  // An operator's handover, or a failover, rests on no prediction.
  if (o.horizon > Millis{0})
    out += fmt::format(
        "  predicted {} UTC, score {:.2f} within {}; the old primary {}; {:.2f} of the load was mirrored to it\n",
        day_clock_text(o.predicted_at), o.score, format_duration(o.horizon),
        o.failed_at ? "failed " + clock_text(*o.failed_at) : std::string("did not fail"), o.load_ratio);
  if (story.tuning)
    out += fmt::format("  thresholds since: {:.2f} and {:.2f}: {}\n", story.tuning->shadowing_threshold,
                       story.tuning->critical_threshold, harmless(story.tuning->why));
  return out;
}

json story_json(const Story& story) {
  json out = {
      {"resource", story.resource}, {"decisions", json::array()}, {"steps", json::array()}, {"commands", json::array()},
      {"holds", story.holds},       {"outcome", story.outcome},   {"tuning", story.tuning}, {"now", story.now}};
  for (const auto& d : story.decisions) out["decisions"].push_back(decision_json(d));
  for (const auto& s : story.steps)
    out["steps"].push_back({{"seq", s.seq},
                            {"id", s.effect.id},
                            {"at_ms", to_ms(s.at)},
                            {"effect", s.effect},
                            {"ok", s.done ? json(!s.done->error) : json(nullptr)},
                            {"took_ms", s.done ? json((s.done_at - s.at).count()) : json(nullptr)},
                            {"error", s.done && s.done->error ? json(*s.done->error) : json(nullptr)},
                            {"result", result_text(s)}});
  for (const auto& [at, command] : story.commands)
    out["commands"].push_back({{"at_ms", to_ms(at)}, {"command", command}});
  return out;
}

}  // namespace foreshadow::app
