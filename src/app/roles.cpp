#include "app/roles.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/agent.hpp"
#include "app/controller.hpp"
#include "app/kinds.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "proxy/gateway.hpp"

namespace foreshadow::app {
namespace {

Result<void> known(const char* role, const std::string& name, const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) != names.end()) return {};
  return fail(Code::invalid,
              fmt::format("no {} '{}' in the configuration; there are: {}", role, name, fmt::join(names, ", ")));
}

// A dead process refuses at once; one that is stopped must not keep a gateway from its clients for long.
constexpr Millis kEpochWait{300};

// `status`: the controller's, which tells of every resource.
std::uint64_t epoch_elsewhere(const config::Config& config, const Result<nlohmann::json>& status,
                              const std::string& self, const ResourceId& id) {
  std::uint64_t highest = 0;
  const auto consider = [&](const nlohmann::json& told) {
    if (const auto epoch = told.find("epoch"); epoch != told.end() && epoch->is_number_unsigned())
      highest = std::max(highest, epoch->get<std::uint64_t>());
  };
  if (status && status->contains("resources"))
    for (const auto& resource : status->at("resources"))
      if (resource.value("name", "") == id) consider(resource);
  const auto* settings = config.find(id);
  for (const auto& gateway : settings ? settings->resource.gateways : std::vector<std::string>{}) {
    if (gateway == self) continue;
    if (const auto report =
            io::rpc_call(config.gateway_socket(gateway), {{"verb", "report"}, {"resource", id}}, kEpochWait))
      consider(*report);
  }
  return highest;
}

}  // namespace

Result<void> run_gateway_role(const config::Config& config, const std::string& name, bool take_over,
                              std::stop_token stop) {
  FS_CHECK(known("gateway", name, config.gateways));
  const auto kinds = all_kinds();
  proxy::GatewaySettings settings{.name = name,
                                  .state_dir = config.state_dir,
                                  .listeners = {},
                                  .threads = config.threads_of(name),
                                  .take_over = take_over};
  for (const auto& resource : config.resources) {
    const auto& gateways = resource.resource.gateways;
    if (std::find(gateways.begin(), gateways.end(), name) == gateways.end()) continue;
    settings.listeners.push_back(resource.listener);
    settings.listeners.back().listen = resource.listen_at(name);
  }
  settings.epoch_elsewhere = [&config, &name,
                              status = std::optional<Result<nlohmann::json>>{}](const ResourceId& resource) mutable {
    if (!status) status = io::rpc_call(config.controller_socket(), {{"verb", "status"}}, kEpochWait);
    return epoch_elsewhere(config, *status, name, resource);
  };
  const auto protocols = [&kinds](const proxy::ListenerSettings& listener,
                                  boost::asio::any_io_executor executor) -> Result<std::unique_ptr<proxy::Protocol>> {
    for (const auto& kind : kinds)
      if (kind->name() == listener.kind) return kind->protocol(listener, std::move(executor));
    return fail(Code::invalid, fmt::format("kind '{}' is not known", listener.kind));
  };
  return proxy::Gateway::run(std::move(settings), protocols, std::move(stop));
}

Result<void> run_agent_role(const config::Config& config, const std::string& name, std::stop_token stop) {
  FS_CHECK(known("agent", name, config.agents));
  FS_CHECK(io::make_directory(config.state_dir));
  const auto kinds = all_kinds();
  AgentSettings settings{.name = name, .state_dir = config.state_dir, .options = {}, .kinds = borrow(kinds)};
  for (const auto& resource : config.resources)
    if (resource.agent == name) settings.options[resource.resource.id] = resource.options;
  return run_agent(settings, std::move(stop));
}

Result<void> run_controller_role(const config::Config& config, std::stop_token stop) {
  const auto kinds = all_kinds();
  return run_controller(config, borrow(kinds), std::move(stop));
}

}  // namespace foreshadow::app
