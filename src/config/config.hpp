// One configuration file, read and checked: what each process needs to know before it starts.
// Plain values; nothing here opens, resolves or watches anything. Paths are absolute, or as PATH would find them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "base/time.hpp"
#include "domain/policy.hpp"
#include "domain/resource.hpp"
#include "domain/window.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::config {

// A signal the degradation score looks at; without a limit it only counts towards drift.
struct WatchedSignal {
  std::string name;
  std::optional<Limit> limit;
  friend bool operator==(const WatchedSignal&, const WatchedSignal&) = default;
};

struct ObserveSettings {
  Millis interval{5'000};
  Millis stale_after{20'000};  // four intervals unless the file says otherwise
  Millis retention{std::chrono::hours{24}};
  std::vector<WatchedSignal> signals;
  std::string calendar;  // file of known events; empty: none
  friend bool operator==(const ObserveSettings&, const ObserveSettings&) = default;
};

// A program that makes a place for a shadow; see docs/configuration.md for what it reads and prints.
struct CommandProvision {
  std::vector<std::string> argv;
  std::vector<std::string> destroy;
  std::vector<std::string> rebuild;  // empty: a dead old primary is left to a person
  std::string working_dir;  // the configuration file's own
  Millis timeout{60'000};
  friend bool operator==(const CommandProvision&, const CommandProvision&) = default;
};

struct TerraformProvision {
  std::string dir;
  std::string binary = "tofu";
  std::map<std::string, std::string> variables;
  friend bool operator==(const TerraformProvision&, const TerraformProvision&) = default;
};

// monostate: no shadow can be made, so the resource is only observed, or its kind knows a standing one.
using ProvisionSettings = std::variant<std::monostate, CommandProvision, TerraformProvision>;

struct ResourceSettings {
  Resource resource;
  Policy policy;
  std::map<std::string, std::string> options;  // the kind's own, already checked by it
  // Holds good when `resource.gateways` is not empty. Its address is that of every gateway that has none of its own;
  // port 0: each has, or there is no gateway.
  proxy::ListenerSettings listener;
  std::map<std::string, Endpoint> listens;  // by gateway, where they differ
  ObserveSettings observe;
  ProvisionSettings provision;
  std::string agent;  // empty: none

  Endpoint listen_at(const std::string& gateway) const {
    const auto own = listens.find(gateway);
    return own == listens.end() ? listener.listen : own->second;
  }
};

struct Config {
  std::string file;  // as given; what messages name
  std::string state_dir;
  log::Level log_level = log::Level::info;
  std::vector<std::string> gateways;
  std::map<std::string, int> threads;  // that serve clients, by gateway; one where nothing is said
  std::vector<std::string> agents;
  std::vector<ResourceSettings> resources;

  const ResourceSettings* find(const ResourceId& id) const {
    for (const auto& r : resources)
      if (r.resource.id == id) return &r;
    return nullptr;
  }
  int threads_of(const std::string& gateway) const {
    const auto found = threads.find(gateway);
    return found == threads.end() ? 1 : found->second;
  }
  std::string gateway_socket(const std::string& name) const { return state_dir + "/gateway-" + name + ".sock"; }
  std::string agent_socket(const std::string& name) const { return state_dir + "/agent-" + name + ".sock"; }
  std::string controller_socket() const { return state_dir + "/controller.sock"; }
  std::string journal_path() const { return state_dir + "/journal.db"; }
  std::string series_path() const { return state_dir + "/series.db"; }
};

}  // namespace foreshadow::config
