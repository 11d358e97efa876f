#include "act/provision/terraform_plan.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "act/provision/instance_text.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;
using Action = PlannedChange::Action;

Result<json> parse_object(std::string_view text, const char* what) {
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return fail(Code::invalid, std::string(what) + " is not a JSON object");
  return object;
}

Action action_of(const std::vector<std::string>& actions) {
  using Names = std::vector<std::string>;
  if (actions == Names{"no-op"} || actions == Names{"read"}) return Action::none;
  if (actions == Names{"create"}) return Action::create;
  if (actions == Names{"update"}) return Action::update;
  if (actions == Names{"delete"}) return Action::destroy;
  if (actions == Names{"delete", "create"} || actions == Names{"create", "delete"}) return Action::replace;
  return Action::other;  // "forget", and what is to come
}

PlannedChange change_from(const json& object) {
  const auto& change = object.at("change");
  PlannedChange planned;
  object.at("address").get_to(planned.address);
  planned.action = action_of(change.at("actions").get<std::vector<std::string>>());
  planned.imports = change.contains("importing") && !change.at("importing").is_null();
  planned.tainted = object.value("action_reason", "") == "replace_because_tainted";
  return planned;
}

bool holds(const std::vector<std::string>& ours, const std::string& address) {
  return std::ranges::find(ours, address) != ours.end();
}

tl::unexpected<Error> refuse(const PlannedChange& change, const std::string& why) {
  return fail(Code::refused, "the plan is not applied: it would " + why + " " + change.address);
}

}  // namespace

Result<TerraformPlan> parse_terraform_plan(std::string_view json_text) {
  FS_TRY(object, parse_object(json_text, "the plan"));
  try {
    if (!object.at("format_version").get_ref<const std::string&>().starts_with("1."))
      return fail(Code::invalid, "the plan has an unknown format " + object.at("format_version").get<std::string>());
    if (object.value("errored", false)) return fail(Code::invalid, "planning failed in the middle");
    if (!object.value("complete", true)) return fail(Code::invalid, "the plan is only partial: remove what it defers");
    TerraformPlan plan;
    for (const auto& change : object.value("resource_changes", json::array())) {
      auto planned = change_from(change);
      if (planned.action != Action::none || planned.imports) plan.changes.push_back(std::move(planned));
    }
    return plan;
  } catch (const json::exception& e) {
    return fail(Code::invalid, std::string("the plan cannot be read: ") + e.what());
  }
}

Result<void> check_makes(const TerraformPlan& plan, const std::vector<std::string>& ours) {
  for (const auto& change : plan.changes) {
    if (change.imports) return refuse(change, "take over the existing");
    const bool own = holds(ours, change.address);
    switch (change.action) {
      case Action::none:
      case Action::create:
        break;
      case Action::update:
        if (!own) return refuse(change, "change, though it was not made under this key,");
        break;
      case Action::replace:
        if (!own || !change.tainted) return refuse(change, "destroy and make anew");
        break;
      case Action::destroy:
        return refuse(change, "destroy");
      case Action::other:
        return refuse(change, "do something unknown to");
    }
  }
  return {};
}

Result<void> check_gives_back(const TerraformPlan& plan, const std::vector<std::string>& ours) {
  for (const auto& change : plan.changes) {
    if (change.imports || change.action != Action::destroy) return refuse(change, "do something else than destroy to");
    if (!holds(ours, change.address)) return refuse(change, "destroy, though it was not made under this key,");
  }
  return {};
}

std::string plan_summary(const TerraformPlan& plan) {
  int adds = 0, changes = 0, destroys = 0;
  std::string lines;
  std::size_t shown = 0;
  for (const auto& change : plan.changes) {
    const bool replaces = change.action == Action::replace;
    adds += change.action == Action::create || replaces;
    destroys += change.action == Action::destroy || replaces;
    changes += change.action == Action::update || change.action == Action::other;
    const char* sign = change.action == Action::create    ? "+"
                       : change.action == Action::destroy ? "-"
                       : replaces                         ? "-/+"
                                                          : "~";
    if (++shown <= 8) lines += std::string("\n  ") + sign + " " + change.address.substr(0, 120);
  }
  if (shown > 8) lines += "\n  and " + std::to_string(shown - 8) + " more";
  return std::to_string(adds) + " to add, " + std::to_string(changes) + " to change, " + std::to_string(destroys) +
         " to destroy" + lines;
}

Result<Instance> parse_outputs(std::string_view json_text, const Instance& primary) {
  FS_TRY(outputs, parse_object(json_text, "what `output -json` printed"));
  json instance = json::object();
  for (const char* name : {"id", "address", "data_dir", "pid_file", "failure_domains", "attributes"}) {
    const auto output = outputs.find(name);
    if (output == outputs.end()) continue;
    if (!output->is_object() || !output->contains("value"))
      return fail(Code::invalid, std::string("output '") + name + "' has no value");
    // An optional output that came to nothing is one that was not given.
    if (const auto& value = output->at("value"); !value.is_null()) instance[name] = value;
  }
  auto parsed = instance_from(instance, primary);
  if (!parsed) return fail(parsed.error().code, "its outputs: " + parsed.error().what);
  return parsed;
}

Result<bool> no_outputs(std::string_view json_text) {
  FS_TRY(outputs, parse_object(json_text, "what `output -json` printed"));
  return outputs.empty();
}

}  // namespace foreshadow::act
