#include "config/read_resource.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/endpoint.hpp"
#include "config/read_limits.hpp"
#include "config/read_observe.hpp"
#include "config/read_policy.hpp"
#include "config/read_provision.hpp"
#include "config/read_tls.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::config {
namespace {

const kinds::Kind* find_kind(Fields& f, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& kind : f.reading().kinds) {
    if (kind->name() == name) return kind.get();
    names.push_back(kind->name());
  }
  f.problem("kind", fmt::format("kind: {} is not known{}", shown(name), suggestion(name, names, "this build knows")));
  return nullptr;
}

void read_primary(Fields& f, Instance& primary) {
  f.identifier("id", primary.id);
  std::string address;
  f.text("address", address, Need::required);
  if (!address.empty()) {
    if (auto endpoint = parse_endpoint(address))
      primary.endpoint = *endpoint;
    else
      f.problem("address", fmt::format("address: {}", endpoint.error().what));
  }
  f.path("pid_file", primary.pid_file);
  f.path("data_dir", primary.data_dir);
  f.texts("failure_domains", primary.failure_domains);
  for (const auto& domain : primary.failure_domains)
    if (const auto colon = domain.find(':'); colon == std::string::npos || colon == 0 || colon + 1 == domain.size())
      f.problem(
          "failure_domains",
          fmt::format("failure_domains: {} has no class; write it as class:name, e.g. \"host:a\"", shown(domain)));
  f.text_map("attributes", primary.attributes);
}

void check_match(Fields& f, const kinds::Kind& kind, const std::map<std::string, std::string>& conditions) {
  const auto known = kind.conditions();
  const auto problem = [&](const std::string& name, std::string what) {
    f.reading().problems.add(f.at("match", name), "match: " + std::move(what));
  };
  if (known.empty() && !conditions.empty()) {
    f.problem("match",
              fmt::format("match: work of kind {} cannot be told apart; remove it, and keep one segment", kind.name()));
    return;
  }
  for (const auto& [name, value] : conditions) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      problem(name, fmt::format("{} cannot be told apart by {}{}", kind.name(), shown(name),
                                suggestion(name, known, "it can by")));
    else if (value.empty())
      problem(name, fmt::format("{} is empty; write what it must be, or remove it", name));
    else if (const auto checked = kind.check_condition(name, value); !checked)
      problem(name, checked.error().what);
  }
}

void check_segment_options(Fields& f, const kinds::Kind& kind, const std::map<std::string, std::string>& options) {
  std::vector<std::string> names;
  for (const auto& option : kind.segment_options()) names.push_back(option.name);
  for (const auto& [name, value] : options) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      f.reading().problems.add(f.at("options", name),
                               fmt::format("options: a segment of kind {} has no option {}{}", kind.name(), shown(name),
                                           names.empty() ? "; remove it" : suggestion(name, names, "it has")));
    else if (const auto checked = kind.check_segment_option(name, value); !checked)
      f.reading().problems.add(f.at("options", name), checked.error().what);
  }
}

// Where the options of one segment stand in the file.
struct OptionMarks {
  Mark whole;
  std::map<std::string, Mark> each;
  // Of the option that a text of the form "option NAME: ..." is about.
  Mark of(std::string_view what) const {
    constexpr std::string_view begin = "option ";
    if (what.starts_with(begin)) what.remove_prefix(begin.size());
    const auto found = each.find(std::string(what.substr(0, what.find(':'))));
    return found == each.end() ? whole : found->second;
  }
};

void read_segment(Fields& f, ResourceSettings& settings, const kinds::Kind* kind, std::vector<OptionMarks>& marks) {
  Segment segment;
  f.identifier("name", segment.id);
  proxy::SegmentMatch match{segment.id, {}, {}};
  f.text_map("match", match.conditions, true);
  f.text_map("options", match.options);
  if (kind != nullptr) {
    check_match(f, *kind, match.conditions);
    check_segment_options(f, *kind, match.options);
  }
  f.boolean("writes", segment.writes);
  f.boolean("honours_mirror_mark", segment.honours_mirror_mark);
  f.duration("staleness_max", segment.staleness_max, Millis{0});
  f.fraction("latency_sensitivity", segment.latency_sensitivity);
  for (const auto& other : settings.resource.segments)
    if (!segment.id.empty() && other.id == segment.id)
      f.problem("name", fmt::format("name: a segment {} exists already; choose another", shown(segment.id)));
  // The first match wins, so what follows a segment that takes everything would never see work.
  for (const auto& earlier : settings.listener.matches)
    if (earlier.conditions.empty() && !segment.id.empty())
      f.problem("name", fmt::format("name: segment {} comes after {}, which matches everything; move it before",
                                    shown(segment.id), shown(earlier.segment)));
  OptionMarks where{f.at("options"), {}};
  for (const auto& [name, value] : match.options) where.each.emplace(name, f.at("options", name));
  marks.push_back(std::move(where));
  settings.resource.segments.push_back(std::move(segment));
  settings.listener.matches.push_back(std::move(match));
}

// `kind`: null if it is not known, which is told already.
void read_listener(Fields& f, const kinds::Kind* kind, proxy::ListenerSettings& listener) {
  f.integer("connections_max", listener.connections_max, 1, 1'000'000);
  f.duration("idle_timeout", listener.idle_timeout);
  f.duration("header_timeout", listener.header_timeout);
  f.duration("upstream_timeout", listener.upstream_timeout);
  f.bytes("header_bytes_max", listener.header_bytes_max, 1 << 10, 1 << 20);
  f.bytes("body_spool_max", listener.body_spool_max, 0, 64 << 20);
  f.integer("parked_max", listener.parked_max, 0, 1'000'000);
  read_limits(f, listener.limits);
  f.map("tls", [&](Fields& t) { read_tls(t, listener); });
  f.one_of<bool>("proxy_protocol", listener.proxy_protocol, {{"off", false}, {"required", true}});
  if (kind == nullptr || kind->name() == "http") return;
  for (const auto* key : {"tls", "proxy_protocol"})
    if (f.has(key) && !(kind->name() == "postgres" && key == std::string_view("tls")))
      f.problem(key, fmt::format("{}: listeners of kind {} do not speak it; remove the key", key, kind->name()));
}

void read_gateway(Fields& g, ResourceSettings& settings) {
  std::string name, listen;
  g.identifier("name", name);
  g.text("listen", listen);
  if (name.empty()) return;
  settings.resource.gateways.push_back(name);
  if (listen.empty()) return;
  if (const auto endpoint = parse_listen(listen))
    settings.listens[name] = *endpoint;
  else
    g.problem("listen", fmt::format("listen: {}", endpoint.error().what));
}

void read_path(Fields& f, ResourceSettings& settings) {
  std::string listen;
  f.text("listen", listen);
  auto& gateways = settings.resource.gateways;
  f.each(
      "gateways", [&](const std::string& name) { gateways.push_back(name); },
      [&](Fields& g) { read_gateway(g, settings); });
  for (auto it = gateways.begin(); it != gateways.end(); ++it)
    if (std::find(gateways.begin(), it, *it) != it)
      f.problem("gateways", fmt::format("gateways: {} is listed twice; keep one", shown(*it)));
  if (!listen.empty()) {
    if (const auto endpoint = parse_listen(listen))
      settings.listener.listen = *endpoint;
    else
      f.problem("listen", fmt::format("listen: {}", endpoint.error().what));
  }
  if (!listen.empty() && settings.resource.gateways.empty())
    f.problem("listen", "listen: no gateway is named to listen there; add gateways:");
  if (!listen.empty()) return;
  for (const auto& gateway : gateways)
    if (!settings.listens.contains(gateway))
      f.problem("gateways",
                gateways.size() == 1
                    ? std::string("gateways: they have no address to listen on; add listen:")
                    : fmt::format("gateways: {} has no address to listen on; add listen: for all of them, or "
                                  "write {{name: {}, listen: address:port}}",
                                  shown(gateway), gateway));
}

// Options that name files are seen from the configuration file, like every other path.
void locate_options(Fields& f, std::map<std::string, std::string>& options) {
  for (auto& [name, value] : options)
    if (!value.empty() && (name.ends_with("_file") || name.ends_with("_dir")))
      value = absolute(value, f.reading().base_dir);
}

// Asked once the resource's own options are known, which may stand behind the segments.
void check_segments_together(Fields& f, const ResourceSettings& settings, const kinds::Kind& kind,
                             const std::vector<OptionMarks>& marks) {
  for (std::size_t i = 0; i < std::min(marks.size(), settings.listener.matches.size()); ++i) {
    const auto checked = kind.check_segment_options(settings.listener.matches[i].options, settings.options);
    if (!checked) f.reading().problems.add(marks[i].of(checked.error().what), checked.error().what);
  }
}

// What the policy asks for must be possible with what the rest of the entry gives.
void check_able(Fields& f, const ResourceSettings& settings, const kinds::Kind* kind) {
  if (settings.policy.autonomy == Autonomy::observe) return;
  const auto* autonomy = settings.policy.autonomy == Autonomy::act ? "act" : "advise";
  if (settings.resource.gateways.empty())
    f.problem("policy", fmt::format("policy: autonomy {} moves traffic, and no gateway is in its path; add listen: and "
                                    "gateways:, or set autonomy: observe",
                                    autonomy));
  if (std::holds_alternative<std::monostate>(settings.provision))
    f.problem("policy",
              fmt::format(
                  "policy: autonomy {} needs shadows, and nothing makes them; add provision:, or set autonomy: observe",
                  autonomy));
  if (kind != nullptr && kind->traits().fences && settings.agent.empty())
    f.problem("policy", fmt::format("policy: kind {} is fenced before a promotion, which needs an agent on the "
                                    "primary's host; add agent:, or set autonomy: observe",
                                    kind->name()));
}

// A kind begins what it says of one option with that option's name.
Mark place_of(const Fields& f, const std::map<std::string, std::string>& options, std::string_view what) {
  if (what.starts_with("option ")) what.remove_prefix(7);
  const auto colon = what.find(':');
  const std::string name(what.substr(0, colon));
  return colon != std::string_view::npos && options.contains(name) ? f.at("options", name) : f.at("options");
}

void check_options(Fields& f, const ResourceSettings& settings, const kinds::Kind& kind) {
  std::vector<std::string> names;
  for (const auto& option : kind.options()) names.push_back(option.name);
  for (const auto& [name, value] : settings.options)
    if (std::find(names.begin(), names.end(), name) == names.end())
      f.problem("options", fmt::format("options: kind {} has no option {}{}", kind.name(), shown(name),
                                       suggestion(name, names, "it has")));
  // A kind's own check may rest on the whole resource: only ask when that was read without mistakes.
  if (!f.sound()) return;
  auto checked = kind.check(settings.resource, settings.options);
  if (checked) checked = kind.check_listener(settings.listener, settings.options);
  if (checked && f.reading().ask == Ask::files) checked = kind.check_files(settings.options);
  if (!checked) f.reading().problems.add(place_of(f, settings.options, checked.error().what), checked.error().what);
}

}  // namespace

void read_resource(Fields& f, ResourceSettings& settings, ResourceMarks& marks) {
  auto& resource = settings.resource;
  f.identifier("name", resource.id);
  f.text("kind", resource.kind, Need::required);
  const kinds::Kind* kind = resource.kind.empty() ? nullptr : find_kind(f, resource.kind);
  if (kind != nullptr) resource.traits = kind->traits();
  read_path(f, settings);
  f.text("agent", settings.agent);
  f.map("primary", [&](Fields& p) { read_primary(p, resource.primary); }, Need::required);
  std::vector<OptionMarks> segment_options;
  f.each("segments", [&](Fields& s) { read_segment(s, settings, kind, segment_options); });
  if (resource.segments.empty() && !f.has("segments")) {
    // Without segments all work is one, and it writes: the careful reading.
    resource.segments.push_back({.id = "all", .writes = true});
    settings.listener.matches.push_back({"all", {}, {}});
  }
  f.map("listener", [&](Fields& l) { read_listener(l, kind, settings.listener); });
  f.map("observe", [&](Fields& o) { read_observe(o, resource, settings.observe); });
  f.map("policy", [&](Fields& p) { read_policy(p, settings.policy); });
  f.map("provision", [&](Fields& p) { read_provision(p, settings.provision); });
  f.text_map("options", settings.options);
  locate_options(f, settings.options);

  if (f.sound()) {
    check_horizons(f, settings.policy, settings.observe);
    check_able(f, settings, kind);
    for (const auto& gateway : resource.gateways)
      if (settings.listen_at(gateway) == resource.primary.endpoint)
        f.problem(settings.listens.contains(gateway) ? "gateways" : "listen",
                  fmt::format(
                      "listen: {} is the primary's own address, so the gateway would call itself; choose another port",
                      resource.primary.endpoint.text()));
  }
  if (kind != nullptr) check_options(f, settings, *kind);
  if (kind != nullptr && f.sound()) check_segments_together(f, settings, *kind, segment_options);

  settings.listener.resource = resource.id;
  settings.listener.kind = resource.kind;
  settings.listener.segments = resource.segments;
  settings.listener.primary = resource.primary;
  settings.listener.options = settings.options;
  marks = {f.at("name"), f.at("listen"), f.at("gateways"), f.at("agent"), f.at("primary")};
}

}  // namespace foreshadow::config
