#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/gather.hpp"
#include "app/place.hpp"
#include "domain/json.hpp"
#include "publish/prometheus_text.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

Result<publish::MetricsView> view_of(const json& status) {
  publish::MetricsView view;
  // What a dead controller once thought is no measurement of now.
  if (status.at("controller").at("alive").get<bool>())
    for (const auto& resource : status.at("resources")) {
      FS_TRY(outlook, decode<Outlook>(resource.at("outlook")));
      FS_TRY(phase, decode<Phase>(resource.at("phase")));
      view.resources.push_back({std::move(outlook), phase, resource.at("paused").get<bool>()});
    }
  for (const auto& report : status.at("gateways")) {
    FS_TRY(decoded, decode<GatewayReport>(report));
    view.gateways.push_back(std::move(decoded));
  }
  return view;
}

int print(const PlaceOptions& options) {
  const auto place = find_place(options);
  if (!place) return tell(place.error());
  const auto status = gather_status(*place);
  if (!status) return tell(status.error());
  const auto view = view_of(*status);
  if (!view) return tell(view.error());
  std::fputs(publish::prometheus_text(*view).c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : tell({Code::io, "the output could not be written whole"});
}

}  // namespace

void add_metrics_command(CLI::App& app, Job& job) {
  const auto options = std::make_shared<PlaceOptions>();
  auto* metrics = app.add_subcommand("metrics", "What is measured now, in Prometheus's text format");
  add_place(*metrics, *options);
  metrics->callback([options, &job] { job = [options] { return print(*options); }; });
}

}  // namespace foreshadow::app
