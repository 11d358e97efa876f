#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/cli.hpp"
#include "app/completions.hpp"
#include "app/exit_codes.hpp"
#include "app/kinds.hpp"
#include "sim/campaign.hpp"

namespace foreshadow::app {
namespace {

struct SimOptions {
  std::string seeds = "1..1000";
  std::string mode;
  int jobs = 2;
  bool trace = false;
  bool twice = false;
};

int simulate(const SimOptions& options) {
  auto settings = sim::parse_seeds(options.seeds);
  if (!settings) return tell({Code::invalid, "--seeds: " + settings.error().what});
  if (options.mode == "safety") settings->mode = sim::Mode::safety;
  if (options.mode == "liveness") settings->mode = sim::Mode::liveness;
  settings->jobs = options.jobs;
  settings->trace = options.trace;
  settings->twice = options.twice;
  return sim::run_campaign(*settings) == 0 ? exit_ok : exit_failed;
}

int version() {
  std::string kinds;
  for (const auto& kind : all_kinds()) kinds += (kinds.empty() ? "" : ", ") + kind->name();
  fmt::print("foreshadow {}\nkinds: {}\n", FORESHADOW_VERSION, kinds);
  return exit_ok;
}

}  // namespace

void add_tool_commands(CLI::App& app, Job& job) {
  const auto options = std::make_shared<SimOptions>();
  auto* sim = app.add_subcommand("sim", "Run seeded histories of the real core against a simulated world");
  sim->add_option("--seeds", options->seeds, "One seed, or A..B")->type_name("SEEDS");
  sim->add_option("--mode", options->mode, "safety or liveness; both by turns otherwise")
      ->check(CLI::IsMember({"safety", "liveness"}));
  sim->add_option("-j,--jobs", options->jobs, "Threads")->check(CLI::Range(1, 256));
  sim->add_flag("--trace", options->trace, "Print what happened");
  sim->add_flag("--twice", options->twice, "Run each seed twice and compare");
  sim->callback([options, &job] { job = [options] { return simulate(*options); }; });

  auto* about = app.add_subcommand("version", "The version and the kinds of resources it knows");
  about->callback([&job] { job = [] { return version(); }; });

  const auto shell = std::make_shared<std::string>();
  auto* completions = app.add_subcommand("completions", "Print completions for a shell");
  completions->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completions->callback([shell, &app, &job] {
    job = [shell, &app] {
      fmt::print("{}", completion_script(app, *shell));
      return static_cast<int>(exit_ok);
    };
  });
}

}  // namespace foreshadow::app
