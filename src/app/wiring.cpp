#include "app/wiring.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "act/provision/command_provisioner.hpp"
#include "act/provision/terraform_provisioner.hpp"
#include "act/steer/gateway_steer.hpp"
#include "proxy/absence.hpp"

namespace foreshadow::app {
namespace {

// For a resource without a way to make a shadow: it is observed, and says so when it would act.
class NoProvisioner final : public act::Provisioner {
 public:
  Result<std::string> plan(const act::ProvisionRequest&, std::stop_token) override { return none<std::string>(); }
  Result<Instance> provision(const act::ProvisionRequest&, const act::Progress&, std::stop_token) override {
    return none<Instance>();
  }
  Result<void> destroy(const act::ProvisionRequest&, const Instance&, std::stop_token) override { return none<void>(); }

 private:
  template <class T>
  static Result<T> none() {
    return fail(Code::refused, "the resource has no `provision:` section, so no shadow can be made");
  }
};

}  // namespace

const kinds::Kind* find_kind(const std::vector<const kinds::Kind*>& kinds, const std::string& name) {
  const auto it = std::find_if(kinds.begin(), kinds.end(), [&](const kinds::Kind* kind) { return kind->name() == name; });
  return it == kinds.end() ? nullptr : *it;
}

std::unique_ptr<act::Steer> make_steer(const config::Config& config, const config::ResourceSettings& resource) {
  act::GatewaySteerSettings settings;
  for (const auto& name : resource.resource.gateways) settings.gateways.push_back({name, config.gateway_socket(name)});
  settings.is_out = [state_dir = config.state_dir](const std::string& gateway, const ResourceId& id) {
    return proxy::is_out({state_dir, gateway}, id);
  };
  return act::make_gateway_steer(std::move(settings));
}

std::unique_ptr<act::Provisioner> make_provisioner(const config::Config& config, const config::ResourceSettings& resource) {
  if (const auto* command = std::get_if<config::CommandProvision>(&resource.provision))
    return std::make_unique<act::CommandProvisioner>(act::CommandSettings{.argv = command->argv,
                                                                          .destroy = command->destroy,
                                                                          .rebuild = command->rebuild,
                                                                          .working_dir = command->working_dir,
                                                                          .timeout = command->timeout,
                                                                          .state_dir = config.state_dir});
  if (const auto* terraform = std::get_if<config::TerraformProvision>(&resource.provision))
    return std::make_unique<act::TerraformProvisioner>(act::TerraformSettings{.dir = terraform->dir,
                                                                              .binary = terraform->binary,
                                                                              .variables = terraform->variables,
                                                                              .state_dir = config.state_dir,
                                                                              .environment = {},
                                                                              .timeout = resource.policy.provision_timeout});
  return std::make_unique<NoProvisioner>();
}

engine::Ports make_ports(const config::Config& config, const config::ResourceSettings& resource, const kinds::Kind& kind) {
  return {make_provisioner(config, resource), kind.replicator(resource.options), kind.promoter(resource.options),
          make_steer(config, resource)};
}

}  // namespace foreshadow::app
