// `foreshadow bypass`: leaving the path. Says where the instance that serves is, from whoever still knows, and freezes
// the resource there: who serves does not move while clients come past the gateways. Never changes what leads clients
// anywhere.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/command_json.hpp"
#include "app/actor.hpp"
#include "app/bypass_marker.hpp"
#include "app/bypass_plan.hpp"
#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/json_view.hpp"
#include "app/output.hpp"
#include "app/place.hpp"
#include "app/record.hpp"
#include "app/whereabouts.hpp"
#include "io/rpc.hpp"
#include "proxy/gate_store.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

// A stopped controller answers nothing; in an emergency nobody waits long to learn that.
constexpr Millis kControllerWait{1'500};
// What is under way is given up first; before the point of no return that takes moments.
constexpr std::chrono::seconds kGiveUpWait{15};
constexpr Millis kPause{100};

struct BypassOptions {
  PlaceOptions place;
  Output output = Output::table;
  std::string resource;
  std::string reason;
  bool end = false;
  bool show = false;
  bool address = false;
};

Result<json> resource_status(const Place& place, const std::string& resource) {
  FS_TRY(status, io::rpc_call(place.controller_socket(), {{"verb", "status"}}, kControllerWait));
  for (const auto& one : at(status, "resources"))
    if (text(at(one, "name")) == resource) return one;
  return fail(Code::invalid, fmt::format("no resource named '{}'", resource));
}

bool nobody_there(const Error& error) { return error.code == Code::unreachable || error.code == Code::timeout; }

// Whether a handover that stands at this step may have stopped the instance that serves. Where data is shared both
// sides may.
bool may_have_moved(const KindTraits& traits, HandoverStep step) {
  return traits.fences && (step == HandoverStep::fencing || step == HandoverStep::checking ||
                           step == HandoverStep::assessing ||
                           step == HandoverStep::promoting || step == HandoverStep::reviving);
}

void ask_journal(const Place& place, const std::string& resource, std::vector<Witness>& out) {
  auto reader = journal::Reader::open(place.journal_path());
  if (!reader) return;
  const auto known = state_at(*reader);
  if (!known) return;
  const auto found = known->state.resources.find(resource);
  if (found == known->state.resources.end()) return;
  const auto& l = found->second;
  Witness witness{"the journal", l.epoch, l.current, std::nullopt, l.shadow};
  if (l.phase == Phase::handing_over && may_have_moved(l.resource.traits, l.step)) witness.closed_for = l.epoch + 1;
  out.push_back(std::move(witness));
}

// Every gateway's own file, also of those that no configuration names any more.
void ask_gateway_files(const Place& place, const std::string& resource, std::vector<Witness>& out) {
  const auto* settings = place.config ? place.config->find(resource) : nullptr;
  const bool shares_data = settings != nullptr && settings->resource.traits.shares_data;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(place.state_dir, ignored)) {
    const auto file = entry.path().filename().string();
    if (!file.starts_with("gateway-") || !file.ends_with(".json")) continue;
    const auto store = proxy::GateStore::open(entry.path().string());
    const auto state = store ? store->find(resource) : std::nullopt;
    if (!state) continue;
    Witness witness{fmt::format("the state file of gateway {}", file.substr(8, file.size() - 13)), state->table.epoch,
                    state->table.current, std::nullopt, state->table.other};
    if (state->seal && !shares_data) witness.closed_for = state->seal->next_epoch;
    out.push_back(std::move(witness));
  }
}

Result<Whereabouts> find_current(const Place& place, const std::string& resource, const Result<json>& status) {
  std::vector<Witness> witnesses;
  if (status)
    if (auto current = decode<Instance>(at(*status, "current")))
      witnesses.push_back(
          {"the controller", static_cast<std::uint64_t>(number(at(*status, "epoch"))), *current, {}, {}});
  if (!status) ask_journal(place, resource, witnesses);
  ask_gateway_files(place, resource, witnesses);
  if (place.config)
    if (const auto* settings = place.config->find(resource))
      witnesses.push_back({"the configuration", 0, settings->resource.primary, {}, {}});
  return whereabouts(witnesses);
}

Command command_of(const BypassOptions& options) {
  return {options.end ? Verb::end_bypass : Verb::bypass, actor(), options.reason};
}

// Freezes, or ends the freeze. True: the journal has it; false: the next controller will.
Result<bool> tell_controller(const Place& place, const BypassOptions& options) {
  const auto command = command_of(options);
  const auto answer =
      io::rpc_call(place.controller_socket(),
                   {{"verb", "command"}, {"resource", options.resource}, {"command", command}}, kControllerWait);
  if (answer) {
    forget_bypass(place.state_dir, options.resource);
    return true;
  }
  if (!nobody_there(answer.error())) return tl::make_unexpected(answer.error());
  FS_CHECK(leave_bypass(place.state_dir, options.resource, command));
  return false;
}

// What was under way has been given up, or the wait is over.
Result<json> settled_status(const Place& place, const std::string& resource) {
  const auto until = std::chrono::steady_clock::now() + kGiveUpWait;
  for (;;) {
    auto status = resource_status(place, resource);
    if (!status) return status;
    if (yes(at(*status, "bypassed")) && text(at(*status, "phase")) != "handing_over") return status;
    if (std::chrono::steady_clock::now() >= until)
      return fail(Code::timeout, fmt::format("{} is still {} ({}); who serves may move until that is over. Ask again",
                                             resource, text(at(*status, "phase")), text(at(*status, "step"))));
    std::this_thread::sleep_for(kPause);
  }
}

void print_lines(const std::vector<std::string>& lines) {
  for (const auto& line : lines) fmt::print("    {}\n", line);
}

void print_plan(const BypassOptions& options, const Whereabouts& where, const BypassPlan& plan,
                const config::ResourceSettings* settings) {
  const auto address = where.current.endpoint.text();
  fmt::print("Lead clients there, by one of these:\n  their own configuration, DNS, or a virtual address:\n");
  if (settings != nullptr)
    for (const auto& gateway : settings->resource.gateways)
      fmt::print("    {} instead of {} (gateway {})\n", address, settings->listen_at(gateway).text(), gateway);
  else
    fmt::print("    {}\n", address);
  if (!plan.redirect.empty()) {
    fmt::print("  on the gateways' host, as root; connections that are there stay where they are:\n");
    print_lines(plan.redirect);
    fmt::print("  and to end that for new connections:\n");
    print_lines(plan.undo);
    fmt::print("  and once those that were led past are over, for this ends them:\n");
    print_lines(plan.cleanup);
  }
  if (!plan.changes.empty()) {
    fmt::print("What changes for clients:\n");
    print_lines(plan.changes);
  }
  fmt::print("When they come through the gateways again: foreshadow bypass {} --end\n", options.resource);
}

int show(const BypassOptions& options, const Place& place, const Result<json>& status, std::optional<bool> journaled) {
  const auto where = find_current(place, options.resource, status);
  if (!where) return tell(where.error());
  const auto* settings = place.config ? place.config->find(options.resource) : nullptr;
  const auto plan = plan_bypass(options.resource, where->current.endpoint, settings);
  const int code = where->doubt.empty() ? exit_ok : exit_refused;
  if (options.output == Output::json) {
    fmt::print("{}\n", json{{"resource", options.resource},
                            {"current", where->current},
                            {"address", where->current.endpoint.text()},
                            {"epoch", where->epoch},
                            {"source", where->source},
                            {"doubt", where->doubt.empty() ? json(nullptr) : json(where->doubt)},
                            {"frozen", journaled ? json(*journaled ? "journaled" : "left for the next controller")
                                                 : json(nullptr)},
                            {"redirect", plan.redirect},
                            {"undo", plan.undo},
                            {"cleanup", plan.cleanup},
                            {"changes", plan.changes}}
                           .dump());
    return code;
  }
  if (options.address) {
    if (!where->doubt.empty()) return tell({Code::refused, where->doubt});
    fmt::print("{}\n", where->current.endpoint.text());
    return code;
  }
  fmt::print("{} is served by {} at {} (epoch {}, says {})\n", options.resource, where->current.id,
             where->current.endpoint.text(), where->epoch, where->source);
  if (!where->doubt.empty()) fmt::print("IN DOUBT: {}\n", where->doubt);
  if (journaled && *journaled) fmt::print("Frozen there: no shadow, no shift, no handover until the bypass ends.\n");
  if (journaled && !*journaled)
    fmt::print(
        "No controller answers. The next one freezes it there before it does anything else; one that is only stopped "
        "must not "
        "go on meanwhile.\n");
  print_plan(options, *where, plan, settings);
  return code;
}

int bypass(const BypassOptions& options) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  if (place->config && place->config->find(options.resource) == nullptr)
    return tell({Code::invalid, fmt::format("no resource named '{}'", options.resource)});
  if (options.show || options.address)
    return show(options, *place, resource_status(*place, options.resource), std::nullopt);
  const auto journaled = tell_controller(*place, options);
  if (!journaled) return tell(journaled.error());
  if (options.end) {
    fmt::print("the bypass of {} has ended{}\n", options.resource,
               *journaled ? "" : ": the next controller is told; no controller answers now");
    return exit_ok;
  }
  if (!*journaled) return show(options, *place, fail(Code::unreachable, "no controller"), false);
  const auto status = settled_status(*place, options.resource);
  if (!status && status.error().code != Code::unreachable) return tell(status.error());
  return show(options, *place, status, true);
}

}  // namespace

void add_bypass_command(CLI::App& app, Job& job) {
  const auto options = std::make_shared<BypassOptions>();
  auto* command =
      app.add_subcommand("bypass", "Leave the path: where the serving instance is, and nothing moves until --end");
  add_place(*command, options->place);
  add_output(*command, options->output);
  command->add_option("RESOURCE", options->resource, "Of which resource")->required();
  command->add_option("-r,--reason", options->reason, "Why, for the journal")->type_name("TEXT");
  auto* end = command->add_flag("--end", options->end, "Clients come through the gateways again");
  auto* show_only = command->add_flag("--show", options->show, "Only say where it is; freeze nothing");
  auto* address = command->add_flag("--address", options->address, "Only host:port, for scripts; freeze nothing");
  end->excludes(show_only)->excludes(address);
  command->callback([options, &job] { job = [options] { return bypass(*options); }; });
}

}  // namespace foreshadow::app
