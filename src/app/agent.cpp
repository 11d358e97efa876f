#include "app/agent.hpp"

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "act/agent/desk.hpp"
#include "base/log.hpp"
#include "io/rpc.hpp"

namespace foreshadow::app {
namespace {

// The kind's ports as they act on this host, in this process: a kind that would go to an agent is told that it is
// there.
Result<act::HostPorts> host_ports(const AgentSettings& settings, const std::string& kind_name,
                                  const ResourceId& resource, kinds::Options options) {
  if (const auto own = settings.options.find(resource); own != settings.options.end()) options = own->second;
  for (const auto* kind : settings.kinds) {
    if (kind->name() != kind_name) continue;
    for (const auto& option : kind->options())
      if (option.name == "agent_socket") options["agent_socket"] = "here";
    return act::HostPorts{kind->replicator(options), kind->promoter(options)};
  }
  return fail(Code::invalid, "this agent knows no kind '" + kind_name + "'");
}

}  // namespace

std::string agent_socket(const std::string& state_dir, const std::string& name) {
  return state_dir + "/agent-" + name + ".sock";
}

Result<void> run_agent(const AgentSettings& settings, std::stop_token stop) {
  FS_TRY(desk, act::Desk::open(
                   {.name = settings.name,
                    .state_dir = settings.state_dir,
                    .ports = [&settings](const std::string& kind, const ResourceId& resource, kinds::Options options) {
                      return host_ports(settings, kind, resource, std::move(options));
                    }}));
  FS_TRY(server, io::RpcServer::listen(agent_socket(settings.state_dir, settings.name),
                                       [&desk](const nlohmann::json& request) { return desk->handle(request); }));
  log::info("agent {} serves {}", settings.name, agent_socket(settings.state_dir, settings.name));
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
  // Running steps are told first, or the server would wait for them.
  desk->stop();
  server.reset();
  return {};
}

}  // namespace foreshadow::app
