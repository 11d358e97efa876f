// `foreshadow upgrade`: tells the supervisor to replace its gateways, and waits until other processes answer in their
// place.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "app/commands.hpp"
#include "app/exit_codes.hpp"
#include "app/place.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"

namespace foreshadow::app {
namespace {

constexpr Millis kPing{1'000};
constexpr Millis kPause{50};
constexpr std::chrono::seconds kWithin{30};  // for each gateway

struct UpgradeOptions {
  PlaceOptions place;
};

Result<pid_t> supervisor_of(const Place& place) {
  const auto text = io::read_file(place.state_dir + "/run.pid", 64);
  pid_t pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  if (pid <= 1 || ::kill(pid, 0) != 0)
    return fail(Code::unreachable,
                fmt::format("no `foreshadow run` has {}; where gateways are started by something else, start the new "
                            "binary's `foreshadow gateway --take-over` beside the old one",
                            place.state_dir));
  return pid;
}

// Name of each gateway's socket file -> the incarnation that answers there.
std::map<std::string, std::string> incarnations(const Place& place) {
  std::map<std::string, std::string> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(place.state_dir, ignored)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with("gateway-") || !name.ends_with(".sock")) continue;
    const auto answer = io::rpc_call(entry.path().string(), {{"verb", "ping"}}, kPing);
    if (answer) out[name] = answer->value("incarnation", "");
  }
  return out;
}

int upgrade(const UpgradeOptions& options) {
  const auto place = find_place(options.place);
  if (!place) return tell(place.error());
  const auto supervisor = supervisor_of(*place);
  if (!supervisor) return tell(supervisor.error());
  const auto before = incarnations(*place);
  if (::kill(*supervisor, SIGUSR2) != 0) return tell({Code::refused, "the supervisor may not be signalled; use its user"});
  const auto began = std::chrono::steady_clock::now();
  // One after the other.
  const auto within = kWithin * std::max<std::size_t>(before.size(), 1);
  while (std::chrono::steady_clock::now() - began < within) {
    const auto now = incarnations(*place);
    const auto replaced = [&](const auto& gateway) {
      const auto it = now.find(gateway.first);
      return it != now.end() && it->second != gateway.second;
    };
    if (std::all_of(before.begin(), before.end(), replaced)) {
      fmt::print("{} gateways replaced in {} ms; the old processes finish their sessions\n", before.size(),
                 std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began).count());
      return exit_ok;
    }
    std::this_thread::sleep_for(kPause);
  }
  return tell({Code::timeout, fmt::format("a gateway was not replaced within {} s and goes on as it was; the log of "
                                          "`foreshadow run` says why",
                                          within.count())});
}

}  // namespace

void add_upgrade_command(CLI::App& app, Job& job) {
  const auto options = std::make_shared<UpgradeOptions>();
  auto* command = app.add_subcommand("upgrade", "Replace the gateways by the binary that is installed now, without a refusal");
  add_place(*command, options->place);
  command->callback([options, &job] { job = [options] { return upgrade(*options); }; });
}

}  // namespace foreshadow::app
