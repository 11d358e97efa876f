// Provisions by running a program of the operator's: no shell, a clean environment, its own process group.
//
// The program gets one JSON object on standard input, {"action": "provision" | "rebuild" | "destroy", "resource",
// "key", "primary": {...}, "instance": {...}?, "serving": {...}?}, and answers a provision with the instance on
// standard output (instance_text.hpp). Lines on standard error are shown as progress; "40%" in one is taken as the
// share that is done. Exit code 0, or it failed. The same key must give the same instance: after a crash we ask again.
#pragma once

#include <string>
#include <vector>

#include "act/provision/provisioner.hpp"
#include "io/subprocess.hpp"

namespace foreshadow::act {

struct CommandSettings {
  std::vector<std::string> argv;
  std::vector<std::string> destroy;
  std::vector<std::string> rebuild;  // empty: a dead old primary is left to a person
  std::string working_dir;
  Millis timeout{60'000};  // of each run; a request's own, if shorter, counts
  std::string state_dir;   // what was made is recorded in its folder "provisioned"
};

// Thread-safe: two calls under one key exclude each other (conflict), other keys go on side by side.
class CommandProvisioner final : public Provisioner {
 public:
  explicit CommandProvisioner(CommandSettings settings) : settings_(std::move(settings)) {}

  // Says what would be run. Runs nothing: a script need not know that it should only plan.
  Result<std::string> plan(const ProvisionRequest& request, std::stop_token stop) override;
  Result<Instance> provision(const ProvisionRequest& request, const Progress& progress, std::stop_token stop) override;
  Result<Instance> rebuild(const ProvisionRequest& request, const Instance& instance, const Instance& serving,
                           const Progress& progress, std::stop_token stop) override;
  Result<void> destroy(const ProvisionRequest& request, const Instance& instance, std::stop_token stop) override;

 private:
  Result<std::string> run(const std::vector<std::string>& argv, const std::string& input,
                          const ProvisionRequest& request, const Progress& progress, std::stop_token stop) const;
  const CommandSettings settings_;
};

}  // namespace foreshadow::act
