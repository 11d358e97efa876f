#include "api/admission.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace foreshadow::api {
namespace {

using nlohmann::json;

// Clients come past the gateways: nobody could be held.
Result<void> not_bypassed(const std::string& name, const json& r) {
  if (!r.at("bypassed").get<bool>()) return {};
  return fail(Code::refused,
              fmt::format("{0} is bypassed; once its clients come through the gateways again: foreshadow bypass {0} "
                          "--end",
                          name));
}

Result<std::string> admit_bypass(const std::string& name, const json& r) {
  if (r.at("past_no_return").get<bool>())
    return fail(Code::refused,
                fmt::format("{} is past the point of no return of a handover: who serves is about to move. Ask again "
                            "when it is over",
                            name));
  return r.at("bypassed").get<bool>() ? std::string("bypassed already") : std::string();
}

Result<std::string> admit_handover(const std::string& name, const json& r) {
  FS_CHECK(not_bypassed(name, r));
  const auto phase = r.at("phase").get<std::string>();
  if (phase == "handing_over") return std::string("a handover is under way already");
  if (phase == "watching" || phase == "retiring" || phase == "withdrawing")
    return fail(Code::refused, fmt::format("{} is {}: it can be handed over again once it is observing", name, phase));
  if (r.at("paused").get<bool>())
    return fail(Code::refused, fmt::format("{} is paused; lift that first: foreshadow resume", name));
  if (r.at("frozen").get<bool>())
    return fail(Code::refused, "all planned action is frozen, because too many failure domains are bad at once");
  if (r.at("handover_wanted").get<bool>()) return std::string("asked for already");
  return std::string();
}

Result<std::string> admit_rollback(const std::string& name, const json& r) {
  FS_CHECK(not_bypassed(name, r));
  if (r.at("phase") != "watching" || r.at("step") != "none")
    return fail(Code::refused, fmt::format("{} has nothing to roll back to: that is possible while its old primary is "
                                           "watched, and it is {}",
                                           name, r.at("phase").get<std::string>()));
  if (!r.at("old_died_at_ms").is_null())
    return fail(Code::refused, fmt::format("the old primary of {} has failed, as was foreseen", name));
  return std::string();
}

Result<std::string> admit_failover(const std::string& name, const json& r) {
  FS_CHECK(not_bypassed(name, r));
  const auto& failover = r.at("failover");
  if (!failover.at("possible").get<bool>())
    return fail(Code::refused, fmt::format("{} keeps no data of its own, so nothing fails over: foreshadow handover {}", name, name));
  if (failover.at("under_way").get<bool>() && !r.at("past_no_return").get<bool>())
    return std::string("one is under way; what it may lose is raised");
  if (r.at("phase") == "handing_over") return fail(Code::refused, name + " is being handed over");
  if (r.at("paused").get<bool>())
    return fail(Code::refused, fmt::format("{} is paused; lift that first: foreshadow resume", name));
  if (failover.at("to").is_null())
    return fail(Code::refused, fmt::format("{} has no shadow that could serve now (it is {}): start its primary again", name,
                                           r.at("phase").get<std::string>()));
  return failover.at("dead_of").is_null() ? std::string("its primary is not known to be dead; it will be fenced") : std::string();
}

Result<std::string> admit_abort(const std::string& name, const json& r) {
  if (r.at("past_no_return").get<bool>())
    return fail(Code::refused,
                fmt::format("{} is past the point of no return; foreshadow rollback is possible once the "
                            "handover has ended",
                            name));
  const auto phase = r.at("phase").get<std::string>();
  if (phase == "observing" || phase == "retiring" || phase == "withdrawing")
    return std::string("nothing was under way that could be aborted");
  return std::string();
}

}  // namespace

Result<std::string> admit(const json& status, const ResourceId& resource, const Command& command) try {
  if (resource.empty()) {
    if (command.verb == Verb::pause || command.verb == Verb::resume) return std::string();
    return fail(Code::invalid, fmt::format("{} needs the name of a resource", to_string(command.verb)));
  }
  const auto& all = status.at("resources");
  const auto r = std::find_if(all.begin(), all.end(), [&](const json& one) { return one.at("name") == resource; });
  if (r == all.end()) {
    std::vector<std::string> names;
    for (const auto& one : all) names.push_back(one.at("name").get<std::string>());
    return fail(Code::invalid, fmt::format("no resource named '{}'; there are: {}", resource, fmt::join(names, ", ")));
  }
  switch (command.verb) {
    case Verb::handover:
      return admit_handover(resource, *r);
    case Verb::rollback:
      return admit_rollback(resource, *r);
    case Verb::abort:
      return admit_abort(resource, *r);
    case Verb::approve:
      return r->at("asked") == "none" ? std::string("nothing was waiting; the next handover is approved in advance")
                                      : std::string();
    case Verb::bypass:
      return admit_bypass(resource, *r);
    case Verb::end_bypass:
      return r->at("bypassed").get<bool>() ? std::string() : std::string("it was not bypassed");
    case Verb::remove_gateway:
      if (command.target.empty()) return fail(Code::invalid, "remove_gateway needs the name of a gateway");
      return std::string();
    case Verb::failover:
      return admit_failover(resource, *r);
    case Verb::pause:
    case Verb::resume:
      return std::string();
  }
  return std::string();
} catch (const json::exception& e) {
  return fail(Code::invalid, fmt::format("the status cannot be read: {}", e.what()));
}

}  // namespace foreshadow::api
