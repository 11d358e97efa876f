#include "app/place.hpp"

#include <cstdlib>
#include <filesystem>

#include "app/kinds.hpp"
#include "config/load.hpp"

namespace foreshadow::app {

void add_place(CLI::App& command, PlaceOptions& options) {
  command
      .add_option("-c,--config", options.config_file,
                  "Configuration file (else $FORESHADOW_CONFIG, ./foreshadow.yaml, /etc/foreshadow/foreshadow.yaml)")
      ->type_name("FILE");
  command.add_option("--state-dir", options.state_dir, "State directory, without reading a configuration")
      ->type_name("DIR");
}

Result<std::string> find_config(const std::string& named) {
  if (!named.empty()) return named;
  if (const char* variable = std::getenv("FORESHADOW_CONFIG"); variable != nullptr && *variable != '\0')
    return std::string(variable);
  std::error_code ignored;
  for (const auto* usual : {"foreshadow.yaml", "/etc/foreshadow/foreshadow.yaml"})
    if (std::filesystem::exists(usual, ignored)) return std::string(usual);
  return fail(Code::invalid, "no configuration: name one with -c FILE, or a state directory with --state-dir DIR");
}

Result<Place> find_place(const PlaceOptions& options) {
  if (!options.state_dir.empty()) return Place{options.state_dir, std::nullopt};
  FS_TRY(file, find_config(options.config_file));
  FS_TRY(config, config::load(file, all_kinds()));
  auto state_dir = config.state_dir;
  return Place{std::move(state_dir), std::move(config)};
}

}  // namespace foreshadow::app
