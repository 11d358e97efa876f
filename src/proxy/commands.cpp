#include "proxy/commands.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "domain/json.hpp"

namespace foreshadow::proxy {

using nlohmann::json;

namespace {

constexpr Millis kHearOutMax{1000};

template <class T>
Result<T> field(const json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) return fail(Code::invalid, fmt::format("'{}' is missing", name));
  auto value = decode<T>(*found);
  if (!value) return fail(Code::invalid, fmt::format("'{}': {}", name, value.error().what));
  return value;
}

}  // namespace

Commands::Commands(Gates gates, GateStore store, GatewayAck self, Unfinished unfinished)
    : gates_(std::move(gates)), self_(std::move(self)), store_(std::move(store)), unfinished_(std::move(unfinished)) {}

Result<void> Commands::retire() {
  const std::lock_guard lock(one_at_a_time_);
  for (auto& [resource, gate] : gates_)
    if (const auto state = gate.state(); state.hold || state.seal)
      return fail(Code::refused, "a handover is under way; try again when it is over");
  retired_ = true;
  return {};
}

Result<void> Commands::in_charge() const {
  if (retired_) return fail(Code::refused, fmt::format("gateway '{}': another process takes over", self_.gateway));
  return {};
}

Result<GateGroup*> Commands::find(const ResourceId& resource) {
  const auto found = gates_.find(resource);
  if (found == gates_.end())
    return fail(Code::invalid, fmt::format("gateway '{}' has no resource '{}'", self_.gateway, resource));
  return &found->second;
}

Result<json> Commands::handle(const json& request) {
  if (!request.is_object()) return fail(Code::invalid, "a request is a JSON object");
  FS_TRY(verb, field<std::string>(request, "verb"));
  if (verb == "report") {
    FS_TRY(answer, report(request));
    return json(answer);
  }
  if (verb == "differences") return differences(request);
  if (verb == "apply") {
    FS_CHECK(apply(request));
  } else if (verb == "hold") {
    FS_CHECK(hold(request));
  } else if (verb == "seal") {
    FS_CHECK(seal(request));
  } else if (verb == "release") {
    FS_CHECK(release(request));
  } else if (verb != "ping") {
    return fail(Code::invalid, fmt::format("unknown verb '{}'", verb));
  }
  return json(self_);
}

Result<void> Commands::apply(const json& request) {
  FS_TRY(table, field<RouteTable>(request, "table"));
  FS_TRY(gate, find(table.resource));
  const std::lock_guard lock(one_at_a_time_);
  FS_CHECK(in_charge());
  FS_TRY(next, gate->propose(table));
  if (!next) return {};
  FS_CHECK(store_.save(table.resource, *next));
  gate->put_in_force(table);
  log::info("{}: epoch {} version {} in force, current {}{}", table.resource, table.epoch, table.version,
            table.current.id, table.other ? ", other " + table.other->id : "");
  return {};
}

Result<void> Commands::hold(const json& request) {
  FS_TRY(resource, field<ResourceId>(request, "resource"));
  FS_TRY(term, field<std::uint64_t>(request, "term"));
  FS_TRY(next_epoch, field<std::uint64_t>(request, "next_epoch"));
  FS_TRY(policy, field<HoldPolicy>(request, "policy"));
  bool abandon = false;
  if (request.contains("abandon")) {
    FS_TRY(asked, field<bool>(request, "abandon"));
    abandon = asked;
  }
  FS_TRY(gate, find(resource));

  std::shared_ptr<GateGroup::Drain> drain;
  {
    const std::lock_guard lock(one_at_a_time_);
    FS_CHECK(in_charge());
    FS_CHECK(unfinished_());
    FS_TRY(held, gate->hold(term, next_epoch, policy, abandon ? InFlight::abandoned : InFlight::awaited));
    drain = std::move(held.drain);
    if (auto saved = store_.save(resource, held.state); !saved) {
      if (!held.state.seal) gate->release(term, next_epoch);
      return saved;
    }
  }
  auto drained = GateGroup::wait(*drain);
  if (!drained) {
    const std::lock_guard lock(one_at_a_time_);
    gate->give_up(*drain);
  }
  return drained;
}

Result<void> Commands::seal(const json& request) {
  FS_TRY(resource, field<ResourceId>(request, "resource"));
  FS_TRY(term, field<std::uint64_t>(request, "term"));
  FS_TRY(next_epoch, field<std::uint64_t>(request, "next_epoch"));
  FS_TRY(incarnation, field<std::string>(request, "incarnation"));
  FS_TRY(gate, find(resource));
  if (incarnation != self_.incarnation)
    return fail(Code::conflict,
                fmt::format("gateway '{}' has restarted since it acknowledged the hold", self_.gateway));

  const std::lock_guard lock(one_at_a_time_);
  FS_CHECK(in_charge());
  // In memory first: from here on no lapse can open it, however long the disk takes.
  FS_TRY(state, gate->seal(term, next_epoch));
  if (store_.find(resource) == state) return {};
  // Beside the disk's work. Who has not heard it out by then hears the truth when the old side ends.
  auto heard = gate->hear_out();
  if (auto saved = store_.save(resource, state); !saved) {
    gate->unseal();
    return saved;
  }
  const auto until = std::chrono::steady_clock::now() + kHearOutMax;
  for (auto& one : heard) one.wait_until(until);
  log::info("{}: sealed for epoch {}", resource, next_epoch);
  return {};
}

Result<void> Commands::release(const json& request) {
  FS_TRY(resource, field<ResourceId>(request, "resource"));
  FS_TRY(term, field<std::uint64_t>(request, "term"));
  FS_TRY(next_epoch, field<std::uint64_t>(request, "next_epoch"));
  FS_TRY(gate, find(resource));

  const std::lock_guard lock(one_at_a_time_);
  FS_CHECK(in_charge());
  const bool sealed = gate->state().seal.has_value();
  FS_TRY(next, gate->propose_release(term, next_epoch));
  const auto saved = store_.save(resource, next);
  // A hold may be given up without the disk, a restart would do the same. A seal may not: it would come back.
  if (saved || !sealed) gate->release(term, next_epoch);
  if (saved) log::info("{}: released to {}", resource, next.table.current.id);
  return saved;
}

Result<json> Commands::differences(const json& request) {
  FS_TRY(resource, field<ResourceId>(request, "resource"));
  FS_TRY(gate, find(resource));
  auto answer = gate->differences();
  if (!answer) return fail(answer.error().code, fmt::format("{}: {}", resource, answer.error().what));
  (*answer)["gateway"] = self_.gateway;
  (*answer)["resource"] = resource;
  return answer;
}

Result<GatewayReport> Commands::report(const json& request) {
  FS_TRY(resource, field<ResourceId>(request, "resource"));
  FS_TRY(gate, find(resource));
  auto answer = gate->report();
  answer.gateway = self_.gateway;
  answer.incarnation = self_.incarnation;
  return answer;
}

}  // namespace foreshadow::proxy
