// Where an operator's command finds a running Foreshadow: a configuration file, or only its state directory. The latter
// works with a configuration that is broken or gone.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "config/config.hpp"

namespace foreshadow::app {

struct PlaceOptions {
  std::string config_file;
  std::string state_dir;
};

struct Place {
  std::string state_dir;
  std::optional<config::Config> config;  // not when only the state directory was named
  std::string controller_socket() const { return state_dir + "/controller.sock"; }
  std::string journal_path() const { return state_dir + "/journal.db"; }
};

// -c/--config and --state-dir.
void add_place(CLI::App& command, PlaceOptions& options);
// The file named, else $FORESHADOW_CONFIG, else ./foreshadow.yaml, else /etc/foreshadow/foreshadow.yaml.
Result<std::string> find_config(const std::string& named);
Result<Place> find_place(const PlaceOptions& options);

}  // namespace foreshadow::app
