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
  // Makes a dead old primary anew from its base configuration, as a standby-to-be of `serving`. Not every way of
  // provisioning can: then refused, and a person does it.
  virtual Result<Instance> rebuild(const ProvisionRequest& request, const Instance& instance, const Instance& serving,
                                   const Progress& progress, std::stop_token stop) {
    (void)request, (void)serving, (void)progress, (void)stop;
    return fail(Code::refused, "no rebuild command is configured, so " + instance.id + " is left to a person");
  }
  // Destroys what `provision` made under this key. Refuses anything whose identity it cannot confirm.
  virtual Result<void> destroy(const ProvisionRequest& request, const Instance& instance, std::stop_token stop) = 0;
};

}  // namespace foreshadow::act
