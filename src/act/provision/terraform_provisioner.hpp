// Provisions with Terraform or OpenTofu: the operator's configuration, one local state per shadow, and only plans that
// make what is new or give back what is ours.
//
// The configuration may declare the variables foreshadow_resource, foreshadow_key and foreshadow_primary (an object as
// in instance_text.hpp), besides those given in settings, and declares outputs named like an instance's fields. It
// declares no backend: the state of each key is <state_dir>/terraform/<key>/terraform.tfstate, so that no plan can
// touch another's. Variables travel in a file (0600), never in arguments, which every user of the host can read.
#pragma once

#include <map>
#include <string>

#include "act/provision/provisioner.hpp"
#include "act/provision/terraform_plan.hpp"

namespace foreshadow::act {

struct TerraformSettings {
  std::string dir;              // of the configuration, absolute
  std::string binary = "tofu";  // or "terraform"
  std::map<std::string, std::string> variables;
  std::string state_dir;
  // What its providers need (credentials, proxies); nothing else of our environment is given to it.
  std::map<std::string, std::string> environment;
  Millis timeout{std::chrono::minutes{30}};  // of one call, all its steps; a request's own, if shorter, counts
};

// Thread-safe: two calls under one key exclude each other (conflict).
class TerraformProvisioner final : public Provisioner {
 public:
  explicit TerraformProvisioner(TerraformSettings settings) : settings_(std::move(settings)) {}

  Result<std::string> plan(const ProvisionRequest& request, std::stop_token stop) override;
  Result<Instance> provision(const ProvisionRequest& request, const Progress& progress, std::stop_token stop) override;
  Result<void> destroy(const ProvisionRequest& request, const Instance& instance, std::stop_token stop) override;

 private:
  const TerraformSettings settings_;
};

}  // namespace foreshadow::act
