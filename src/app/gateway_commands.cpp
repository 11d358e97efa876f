// `foreshadow remove-gateway`: a gateway that is down and will not come back soon is taken out of a resource's path, so
// that a handover may go on without it. It is done on the gateway's own state file, under its lock: the controller need
// not run, and nobody can be wrong about it later.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/command_json.hpp"
#include "app/actor.hpp"
#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/place.hpp"
#include "io/rpc.hpp"
#include "proxy/absence.hpp"

namespace foreshadow::app {
namespace {

constexpr Millis kCommandWait{5'000};

struct RemoveOptions {
  PlaceOptions place;
  std::string resource;
  std::string gateway;
  std::string reason;
};

// The last one in the path is not removed: without it nobody is held, and clients come or go on some way we know
// nothing of.
Result<void> check_removable(const Place& place, const config::ResourceSettings& settings, const std::string& gateway) {
  const auto& all = settings.resource.gateways;
  if (std::find(all.begin(), all.end(), gateway) == all.end())
    return fail(Code::invalid, fmt::format("gateway '{}' is not in the path of {}", gateway, settings.resource.id));
  for (const auto& other : all)
    if (other != gateway && !proxy::is_out({place.state_dir, other}, settings.resource.id)) return {};
  return fail(Code::refused,
              fmt::format("{} is the only gateway in the path of {}; to leave the path altogether: foreshadow "
                          "bypass {}",
                          gateway, settings.resource.id, settings.resource.id));
}

int remove_gateway(const RemoveOptions& options) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  if (!place->config) return tell({Code::invalid, "remove-gateway needs the configuration: name it with -c FILE"});
  const auto* settings = place->config->find(options.resource);
  if (settings == nullptr) return tell({Code::invalid, fmt::format("no resource named '{}'", options.resource)});
  if (const auto removable = check_removable(*place, *settings, options.gateway); !removable)
    return tell(removable.error());
  if (const auto out =
          proxy::take_out({place->state_dir, options.gateway}, options.resource, settings->resource.primary);
      !out)
    return tell(out.error());
  const auto told = io::rpc_call(place->controller_socket(),
                                 {{"verb", "command"},
                                  {"resource", options.resource},
                                  {"command", Command{Verb::remove_gateway, actor(), options.reason, options.gateway}}},
                                 kCommandWait);
  fmt::print("{} is out of the path of {}: started again, it serves only once the controller has told it who serves\n",
             options.gateway, options.resource);
  if (!told) fmt::print("the journal does not know it yet ({}); the controller sees it by itself\n", told.error().what);
  return exit_ok;
}

}  // namespace

void add_gateway_commands(CLI::App& app, Job& job) {
  const auto options = std::make_shared<RemoveOptions>();
  auto* command = app.add_subcommand("remove-gateway",
                                     "Take a gateway that is down out of a resource's path, until it is started again");
  add_place(*command, options->place);
  command->add_option("RESOURCE", options->resource, "Of which resource")->required();
  command->add_option("GATEWAY", options->gateway, "Its name in the configuration")->required();
  command->add_option("-r,--reason", options->reason, "Why, for the journal")->type_name("TEXT");
  command->callback([options, &job] { job = [options] { return remove_gateway(*options); }; });
}

}  // namespace foreshadow::app
