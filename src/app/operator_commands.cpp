#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <iostream>
#include <limits>
#include <memory>

#include "api/command_json.hpp"
#include "api/status.hpp"
#include "app/actor.hpp"
#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/output.hpp"
#include "app/place.hpp"
#include "app/record.hpp"
#include "app/terminal.hpp"
#include "base/units.hpp"
#include "domain/names.hpp"
#include "io/rpc.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

constexpr Millis kCommandWait{5'000};
// A provisioner's plan may ask a cloud.
constexpr Millis kPlanWait{90'000};

struct OperatorOptions {
  PlaceOptions place;
  Output output = Output::table;
  std::string resource;
  std::string reason;
  bool yes = false;
};

// These move who serves. A name that must be typed cannot be the one next to it in the shell's history.
Result<void> confirm(const OperatorOptions& options, const char* verb) {
  if (options.yes) return {};
  if (::isatty(STDIN_FILENO) != 1)
    return fail(Code::invalid, fmt::format("{} asks for confirmation, and nobody can type it here; add --yes", verb));
  fmt::print(stderr, "{} moves the traffic of {}. Type its name to go on: ", verb, options.resource);
  std::string typed;
  std::getline(std::cin, typed);
  if (typed != options.resource) return fail(Code::cancelled, "not confirmed; nothing was done");
  return {};
}

int give(const OperatorOptions& options, Verb verb, bool needs_confirmation, std::uint64_t loss_max_bytes = 0) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  if (needs_confirmation)
    if (const auto sure = confirm(options, to_string(verb)); !sure) return tell(sure.error());
  const auto answer = io::rpc_call(
      place->controller_socket(),
      {{"verb", "command"}, {"resource", options.resource}, {"command", Command{verb, actor(), options.reason, "", loss_max_bytes}}},
      kCommandWait);
  if (!answer) return tell(answer.error());
  if (options.output == Output::json) {
    fmt::print("{}\n", answer->dump());
  } else {
    const auto note = answer->value("note", "");
    fmt::print("{} {}: {}\n", to_string(verb), options.resource.empty() ? "everything" : options.resource,
               note.empty() ? "accepted" : note);
  }
  return exit_ok;
}

// Without a controller the journal's newest state answers; nobody asks the provisioner then.
Result<json> get_plan(const Place& place, const std::string& resource) {
  auto plan = io::rpc_call(place.controller_socket(), {{"verb", "plan"}, {"resource", resource}}, kPlanWait);
  if (plan || plan.error().code != Code::unreachable) return plan;
  auto reader = journal::Reader::open(place.journal_path());
  if (!reader) return plan;
  FS_TRY(known, state_at(*reader));
  return api::plan_json(known.state, resource, "the controller is not running, so neither provisioner nor gateways were asked", {});
}

int plan(const OperatorOptions& options) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  const auto plan = get_plan(*place, options.resource);
  if (!plan) return tell(plan.error());
  if (options.output == Output::json) {
    fmt::print("{}\n", plan->dump());
    return exit_ok;
  }
  try {
    for (const auto& line : plan->at("lines")) fmt::print("{}\n", harmless(line.get<std::string>()));
    const auto text = plan->at("provision").get<std::string>();
    if (!text.empty()) fmt::print("provisioner:\n");
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      fmt::print("  {}\n", harmless(std::string_view(text).substr(at, end - at)));
      at = end + 1;
    }
    return exit_ok;
  } catch (const json::exception& e) {
    return tell({Code::invalid, fmt::format("the plan cannot be read: {}", e.what())});
  }
}

CLI::App* add_verb(CLI::App& app, Job& job, Verb verb, const char* help, bool needs_resource, bool needs_confirmation) {
  const auto options = std::make_shared<OperatorOptions>();
  auto* command = app.add_subcommand(to_string(verb), help);
  add_place(*command, options->place);
  add_output(*command, options->output);
  auto* resource = command->add_option(
      "RESOURCE", options->resource, needs_resource ? "Of which resource" : "Of which resource; everything otherwise");
  if (needs_resource) resource->required();
  command->add_option("-r,--reason", options->reason, "Why, for the journal")->type_name("TEXT");
  if (needs_confirmation) command->add_flag("-y,--yes", options->yes, "Do not ask for confirmation");
  command->callback([options, verb, needs_confirmation, &job] {
    job = [options, verb, needs_confirmation] { return give(*options, verb, needs_confirmation); };
  });
  return command;
}

// "any" also accepts a loss that nobody can tell.
std::uint64_t accepted_loss(const std::string& text) {
  if (text == "any") return std::numeric_limits<std::uint64_t>::max();
  const auto bytes = parse_bytes(text);
  if (!bytes) throw CLI::ValidationError("--accept-data-loss", bytes.error().what + ", or `any`");
  return *bytes;
}

void add_failover(CLI::App& app, Job& job) {
  const auto options = std::make_shared<OperatorOptions>();
  const auto loss = std::make_shared<std::string>("0");
  auto* command = app.add_subcommand("failover", "Have its shadow serve in place of a database's primary that has died");
  add_place(*command, options->place);
  add_output(*command, options->output);
  command->add_option("RESOURCE", options->resource, "Of which resource")->required();
  command->add_option("--accept-data-loss", *loss, "At most so much of the log with commits may be lost; any: whatever it is")
      ->type_name("BYTES");
  command->add_option("-r,--reason", options->reason, "Why, for the journal")->type_name("TEXT");
  command->add_flag("-y,--yes", options->yes, "Do not ask for confirmation");
  command->callback([options, loss, &job] {
    const auto bytes = accepted_loss(*loss);
    job = [options, bytes] { return give(*options, Verb::failover, true, bytes); };
  });
}

}  // namespace

void add_operator_commands(CLI::App& app, Job& job) {
  const auto options = std::make_shared<OperatorOptions>();
  auto* what =
      app.add_subcommand("plan", "What would be done now, what cannot move, and where the point of no return is");
  add_place(*what, options->place);
  add_output(*what, options->output);
  const auto words = std::make_shared<std::vector<std::string>>();
  what->add_option("RESOURCE", *words, "A resource; the word handover may come before it")->required()->expected(1, 2);
  what->callback([options, words, &job] {
    if (words->size() == 2 && words->front() != "handover")
      throw CLI::ValidationError("plan", "write plan RESOURCE, or plan handover RESOURCE");
    options->resource = words->back();
    job = [options] { return plan(*options); };
  });

  add_verb(app, job, Verb::handover, "Hand a resource over to a shadow, made first where there is none", true, true);
  add_verb(app, job, Verb::rollback, "Go back to the old primary, while it is watched", true, true);
  add_failover(app, job);
  add_verb(app, job, Verb::pause, "Start nothing more; what is under way goes on", false, false);
  add_verb(app, job, Verb::resume, "End a pause", false, false);
  add_verb(app, job, Verb::abort, "Give up what is under way, before the point of no return", true, false);
  add_verb(app, job, Verb::approve, "Approve what was asked", true, false);
}

}  // namespace foreshadow::app
