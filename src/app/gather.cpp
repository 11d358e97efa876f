#include "app/gather.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "api/status.hpp"
#include "app/record.hpp"
#include "domain/json.hpp"
#include "io/rpc.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

// A stopped process accepts and never answers: waiting longer for it would only hide that from the person who asks.
constexpr Millis kControllerWait{1'500};
constexpr Millis kGatewayWait{500};
// Nobody redraws these every second.
constexpr Millis kDifferencesWait{2'000};

Result<json> status_from_journal(const Place& place) {
  FS_TRY(reader, journal::Reader::open(place.journal_path()));
  FS_TRY(known, state_at(reader));
  auto status = api::status_json(known.state, known.at);
  status["data_age_ms"] = std::max<std::int64_t>(0, (wall_now() - known.at).count());
  status["journal_damage"] = known.damage;
  return status;
}

// From the configuration, else from the sockets that are there.
std::set<std::string> gateway_names(const Place& place) {
  std::set<std::string> names;
  if (place.config) names.insert(place.config->gateways.begin(), place.config->gateways.end());
  constexpr std::string_view head = "gateway-", tail = ".sock";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(place.state_dir, ignored)) {
    const auto file = entry.path().filename().string();
    if (file.starts_with(head) && file.ends_with(tail))
      names.insert(file.substr(head.size(), file.size() - head.size() - tail.size()));
  }
  return names;
}

std::string gateway_socket(const Place& place, const std::string& gateway) {
  return place.state_dir + "/gateway-" + gateway + ".sock";
}

std::vector<std::string> resource_names(const Place& place, const json& status) {
  std::vector<std::string> names;
  for (const auto& resource : status.at("resources")) names.push_back(resource.at("name").get<std::string>());
  if (names.empty() && place.config)
    for (const auto& resource : place.config->resources) names.push_back(resource.resource.id);
  return names;
}

void ask_gateways(const Place& place, json& status) {
  auto& reports = status["gateways"] = json::array();
  auto& silent = status["gateways_silent"] = json::array();
  for (const auto& gateway : gateway_names(place)) {
    const auto socket = gateway_socket(place, gateway);
    for (const auto& resource : resource_names(place, status)) {
      auto report = io::rpc_call(socket, {{"verb", "report"}, {"resource", resource}}, kGatewayWait);
      if (report) {
        reports.push_back(std::move(*report));
      } else if (report.error().code == Code::unreachable || report.error().code == Code::timeout) {
        silent.push_back({{"gateway", gateway}, {"why", report.error().what}});
        break;  // it will not answer for the next resource either
      }
    }
  }
}

}  // namespace

Result<json> gather_status(const Place& place) {
  auto status = io::rpc_call(place.controller_socket(), {{"verb", "status"}}, kControllerWait);
  if (!status) {
    const auto silence =
        status.error().code == Code::timeout ? "does not answer: stopped, or overloaded" : status.error().what;
    status = status_from_journal(place);
    const bool nothing_recorded = !status;
    const auto journal_silence = nothing_recorded ? status.error().what : "";
    if (nothing_recorded)
      status =
          json{{"resources", json::array()},        {"data_age_ms", nullptr},     {"paused", false}, {"frozen_why", ""},
               {"journal_damage", journal_silence}, {"controller", {{"term", 0}}}};
    (*status)["controller"]["alive"] = false;
    (*status)["controller"]["why"] = silence;
    ask_gateways(place, *status);
    if (nothing_recorded && (*status)["gateways"].empty())
      return fail(Code::unreachable, fmt::format("nothing to show: the controller {}; {}", silence, journal_silence));
    return status;
  }
  ask_gateways(place, *status);
  return status;
}

Result<json> gather_differences(const Place& place, const std::string& resource) {
  json gathered{{"gateways", json::array()}, {"gateways_silent", json::array()}};
  Error last{Code::unreachable, "no gateway is there to ask in " + place.state_dir};
  for (const auto& gateway : gateway_names(place)) {
    auto answer = io::rpc_call(gateway_socket(place, gateway), {{"verb", "differences"}, {"resource", resource}},
                               kDifferencesWait);
    if (answer) {
      gathered["gateways"].push_back(std::move(*answer));
      continue;
    }
    if (answer.error().code == Code::unreachable || answer.error().code == Code::timeout)
      gathered["gateways_silent"].push_back({{"gateway", gateway}, {"why", answer.error().what}});
    last = answer.error();
  }
  if (gathered["gateways"].empty()) return tl::make_unexpected(last);
  return gathered;
}

}  // namespace foreshadow::app
