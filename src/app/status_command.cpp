#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/differences_view.hpp"
#include "app/exit_codes.hpp"
#include "app/gather.hpp"
#include "app/output.hpp"
#include "app/record.hpp"
#include "app/status_view.hpp"
#include "app/stop_signals.hpp"

namespace foreshadow::app {
namespace {

struct StatusOptions {
  PlaceOptions place;
  Output output = Output::table;
  bool watch = false;
};

Result<std::string> render(const Place& place, Output output, const Terminal& terminal) {
  FS_TRY(status, gather_status(place));
  if (output == Output::json) return status.dump() + "\n";
  return status_text(status, wall_now(), terminal);
}

// Redrawn in place on a terminal; elsewhere each picture follows the last, so that it can be recorded.
int watch(const Place& place, Output output, const Terminal& terminal) {
  StopSignals signals;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!signals.token().stop_requested()) {
    const auto text = render(place, output, terminal);
    auto picture = text ? *text : fmt::format("foreshadow: {}\n", text.error().what);
    if (terminal.tty && output == Output::table) {
      // Each line ends by clearing its rest and the picture by clearing what is below, which does not flicker.
      for (std::size_t at = 0; (at = picture.find('\n', at)) != std::string::npos; at += 4)
        picture.insert(at, "\x1b[K");
      picture = "\x1b[H" + picture + "\x1b[J";
    }
    std::fputs(picture.c_str(), stdout);
    std::fflush(stdout);
    wake.wait_for(lock, signals.token(), std::chrono::seconds{1}, [] { return false; });
  }
  return exit_ok;
}

int show(const StatusOptions& options) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  const auto look = terminal();
  if (options.watch) return watch(*place, options.output, look);
  const auto text = render(*place, options.output, look);
  if (!text) return tell(text.error());
  std::fputs(text->c_str(), stdout);
  return exit_ok;
}

struct DifferencesOptions {
  PlaceOptions place;
  Output output = Output::table;
  std::string resource;
};

int show_differences(const DifferencesOptions& options) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  const auto differences = gather_differences(*place, options.resource);
  if (!differences) return tell(differences.error());
  const auto text =
      options.output == Output::json ? differences->dump() + "\n" : differences_text(*differences, terminal());
  std::fputs(text.c_str(), stdout);
  return exit_ok;
}

}  // namespace

void add_status_command(CLI::App& app, Job& job) {
  const auto options = std::make_shared<StatusOptions>();
  auto* status =
      app.add_subcommand("status", "What is foreseen, what is under way, what waits; also with the controller dead");
  add_place(*status, options->place);
  add_output(*status, options->output);
  status->add_flag("-w,--watch", options->watch, "Redraw every second until interrupted");
  status->callback([options, &job] { job = [options] { return show(*options); }; });
}

void add_differences_command(CLI::App& app, Job& job) {
  const auto options = std::make_shared<DifferencesOptions>();
  auto* command = app.add_subcommand("differences", "How a shadow's answers differ from its primary's, field by field");
  add_place(*command, options->place);
  add_output(*command, options->output);
  command->add_option("RESOURCE", options->resource, "Of which resource")->required();
  command->callback([options, &job] { job = [options] { return show_differences(*options); }; });
}

}  // namespace foreshadow::app
