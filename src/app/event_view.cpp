#include "app/event_view.hpp"

#include <fmt/format.h>

#include "app/record.hpp"
#include "base/units.hpp"
#include "domain/json.hpp"
#include "domain/names.hpp"

namespace foreshadow::app {
namespace {

using journal::Record;
using nlohmann::json;

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100); }

std::string routes_text(const RouteTable& table) {
  std::string out = fmt::format("{} serves, epoch {} version {}", table.current.id, table.epoch, table.version);
  if (!table.other) return out;
  for (const auto& route : table.routes)
    if (route.other_weight > 0 || route.mirror > 0)
      out += fmt::format("; {} {} to {}{}", route.segment, percent(route.other_weight), table.other->id,
                         route.mirror > 0 ? ", " + percent(route.mirror) + " mirrored" : "");
  return out;
}

struct EffectText {
  std::string operator()(const Provision& e) const { return fmt::format("a shadow of {}", e.primary.id); }
  std::string operator()(const Replicate& e) const { return fmt::format("{} follows {}", e.shadow.id, e.primary.id); }
  std::string operator()(const Steer& e) const { return routes_text(e.table); }
  std::string operator()(const Prepare& e) const { return fmt::format("{} and {}", e.primary.id, e.shadow.id); }
  std::string operator()(const Hold& e) const { return fmt::format("all gateways, for epoch {}", e.next_epoch); }
  std::string operator()(const ProveEqual& e) const {
    return fmt::format("{} has all that {} acknowledged", e.shadow.id, e.primary.id);
  }
  std::string operator()(const Seal& e) const { return fmt::format("all gateways, for epoch {}", e.next_epoch); }
  std::string operator()(const Fence& e) const { return e.primary.id; }
  std::string operator()(const CheckFenced& e) const {
    return fmt::format("nothing was committed at {} past {}", e.primary.id, e.proof);
  }
  std::string operator()(const Assess& e) const {
    return fmt::format("what {} lacks of {}", e.shadow.id, e.primary.id);
  }
  std::string operator()(const Promote& e) const { return fmt::format("{} in epoch {}", e.shadow.id, e.next_epoch); }
  std::string operator()(const Release& e) const { return fmt::format("epoch {} is given up", e.next_epoch); }
  std::string operator()(const Revive& e) const { return e.primary.id; }
  std::string operator()(const Rejoin& e) const { return fmt::format("{} follows {}", e.old_primary.id, e.primary.id); }
  std::string operator()(const Retire& e) const { return (e.rebuild ? "rebuild " : "give back ") + e.instance.id; }
  std::string operator()(const Page& e) const { return e.text; }
};

std::string outlook_text(const Outlook& outlook) {
  if (!outlook.known) return "unknown";
  std::string out;
  for (const auto& s : outlook.scores)
    out += fmt::format("{}{:.2f} within {}", out.empty() ? "" : ", ", s.score, format_duration(s.horizon));
  if (!outlook.reasons.empty()) out += "; " + outlook.reasons.front().text;
  return out;
}

std::string alive_text(std::optional<bool> alive) { return !alive ? "unknown" : *alive ? "alive" : "dead"; }

struct EventText {
  std::string operator()(const Started& e) const {
    return fmt::format("controller term {}, version {}", e.term, e.version);
  }
  std::string operator()(const PolicySet& e) const {
    return fmt::format("autonomy {}, {} serves as configured", to_string(e.policy.autonomy), e.resource.primary.id);
  }
  std::string operator()(const OutlookMade& e) const { return outlook_text(e.outlook); }
  std::string operator()(const Evidence& e) const {
    std::uint64_t requests = 0, mirrored = 0;
    for (const auto& s : e.segments) {
      requests += s.current_requests + s.other_requests;
      mirrored += s.mirrored;
    }
    return fmt::format("{} requests, {} mirrored, {} gateways", requests, mirrored, e.gateways.size());
  }
  std::string operator()(const Command& e) const {
    return fmt::format("{}{} by {}{}", to_string(e.verb), e.target.empty() ? "" : " " + e.target, e.actor,
                       e.reason.empty() ? "" : ": " + e.reason);
  }
  std::string operator()(const EffectDone& e) const {
    if (e.error) return fmt::format("#{} failed: {} ({})", e.id, e.error->what, to_string(e.error->code));
    std::string out = fmt::format("#{} done", e.id);
    if (e.instance) out += fmt::format(": {} at {}", e.instance->id, e.instance->endpoint.text());
    if (!e.proof.empty()) out += ", proof " + e.proof;
    return e.detail.empty() ? out : out + (e.instance ? ", " : ": ") + e.detail;
  }
  std::string operator()(const EffectProgress& e) const {
    return fmt::format("#{} {} {}", e.id, percent(e.fraction), e.detail);
  }
  std::string operator()(const CounterfactualSeen& e) const {
    return fmt::format("old primary {}, {:.2f} of the load: {}", alive_text(e.alive), e.load_ratio, e.detail);
  }
  std::string operator()(const InstanceSeen& e) const {
    return fmt::format("{} {}: {}", e.instance, alive_text(e.alive), e.detail);
  }
  std::string operator()(const OutcomeRecorded& e) const {
    return fmt::format("{}: {}", to_string(e.outcome.verdict), e.outcome.why);
  }
  std::string operator()(const Tuned& e) const {
    return fmt::format("thresholds {:.2f} and {:.2f} from {} outcomes: {}", e.tuning.shadowing_threshold,
                       e.tuning.critical_threshold, e.tuning.resolved, e.tuning.why);
  }
  std::string operator()(const Ticked&) const { return "a deadline has come"; }
};

std::string text_of(const Record& record) {
  if (record.type == Record::Type::snapshot) return "state image";
  if (record.type == Record::Type::intent) {
    const auto effect = decode<Effect>(std::string_view(record.body));
    if (!effect) return "cannot be read: " + effect.error().what;
    return fmt::format("#{} {}{}", effect->id, std::visit(EffectText{}, effect->body),
                       effect->why.empty() ? "" : " — " + effect->why);
  }
  const auto event = decode<Event>(std::string_view(record.body));
  return event ? std::visit(EventText{}, event->body) : "cannot be read: " + event.error().what;
}

const char* name_of_type(Record::Type type) {
  switch (type) {
    case Record::Type::event:
      return "event";
    case Record::Type::intent:
      return "intent";
    case Record::Type::snapshot:
      return "snapshot";
  }
  return "event";
}

Paint paint_of(const Record& record) {
  if (is_failure(record)) return Paint::bad;
  if (record.type == Record::Type::intent) return Paint::bold;
  return is_routine(record) || record.type == Record::Type::snapshot ? Paint::dim : Paint::plain;
}

}  // namespace

json event_json(const Record& record) {
  auto body = json::parse(record.body, nullptr, false);
  if (body.is_discarded()) body = record.body;
  return {{"seq", record.seq},           {"at_ms", to_ms(record.at)}, {"type", name_of_type(record.type)},
          {"resource", record.resource}, {"name", record.name},       {"body", std::move(body)}};
}

std::string event_summary(const Record& record) { return harmless(record.name + " " + text_of(record)); }

bool is_failure(const Record& record) {
  if (record.type != Record::Type::event) return record.type == Record::Type::intent && record.name == "page";
  if (record.name != "effect_done" && record.name != "outcome" && record.name != "instance_seen") return false;
  const auto event = decode<Event>(std::string_view(record.body));
  if (!event) return true;
  if (const auto* done = std::get_if<EffectDone>(&event->body)) return done->error.has_value();
  if (const auto* seen = std::get_if<InstanceSeen>(&event->body)) return seen->alive == false;
  if (const auto* outcome = std::get_if<OutcomeRecorded>(&event->body))
    return outcome->outcome.verdict == Verdict::refuted || outcome->outcome.verdict == Verdict::late;
  return false;
}

bool is_routine(const Record& record) {
  if (record.type == Record::Type::snapshot) return true;
  return record.type == Record::Type::event &&
         (record.name == "outlook" || record.name == "evidence" || record.name == "ticked" ||
          record.name == "effect_progress" || record.name == "counterfactual_seen" ||
          (record.name == "instance_seen" && !is_failure(record)));
}

std::string EventPrinter::take(const Record& record) {
  const auto summary = (record.resource.empty() ? "*" : harmless(record.resource)) + "  " + event_summary(record);
  // A retry is a new effect with a new number; to a person it is the same thing again.
  auto said = summary;
  if (const auto hash = said.find('#'); hash != std::string::npos) said.erase(hash, said.find(' ', hash) - hash);
  if (said == last_) {
    ++repeated_;
    return {};
  }
  auto out = flush();
  last_ = said;
  return out + fmt::format("{}  {}\n", terminal_.paint(Paint::dim, day_clock_text(record.at)),
                           terminal_.paint(paint_of(record), summary));
}

std::string EventPrinter::flush() {
  if (repeated_ == 0) return {};
  auto out = fmt::format("{:25}(the same {} more times)\n", "", repeated_);
  repeated_ = 0;
  return out;
}

}  // namespace foreshadow::app
