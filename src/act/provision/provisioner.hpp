// The port to infrastructure as code: makes a place for a shadow, and gives back only what it made.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::act {

struct ProvisionRequest {
  ResourceId resource;
  Instance primary;
  // The same for every repetition of one Provision effect: a second call finds what the first one made.
  std::string key;
  Millis timeout{0};
};

using Progress = std::function<void(double fraction, const std::string& detail)>;

// Blocking; called from an effect's own thread. Subprocesses die with the caller's process.
class Provisioner {
 public:
  virtual ~Provisioner() = default;
  // What would be done, for `foreshadow plan`. Changes nothing.
  virtual Result<std::string> plan(const ProvisionRequest& request, std::stop_token stop) = 0;
  virtual Result<Instance> provision(const ProvisionRequest& request, const Progress& progress, std::stop_token stop) = 0;
  // Destroys what `provision` made under this key. Refuses anything whose identity it cannot confirm.
  virtual Result<void> destroy(const ProvisionRequest& request, const Instance& instance, std::stop_token stop) = 0;
};

}  // namespace foreshadow::act
