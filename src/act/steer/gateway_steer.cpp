#include "act/steer/gateway_steer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "domain/absent.hpp"
#include "domain/json.hpp"
#include "io/rpc.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;

class GatewaySteer final : public Steer {
 public:
  explicit GatewaySteer(GatewaySteerSettings settings) : settings_(std::move(settings)) {}

  SteerTraits traits() const override {
    return {.weights = true, .mirror = true, .hold = true, .seal = true, .acknowledged = true};
  }

  Result<std::vector<GatewayAck>> apply(const RouteTable& table, std::stop_token stop) override {
    return acks(ask_all(
        table.resource, [&](const GatewayAddress&) { return json{{"verb", "apply"}, {"table", table}}; },
        settings_.call_timeout, stop));
  }

  Result<std::vector<GatewayAck>> hold(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch,
                                       const HoldPolicy& policy, bool abandon, std::stop_token stop) override {
    // One that is down would only be found once the others have parked their clients.
    FS_CHECK(all(
        ask_all(resource, [](const GatewayAddress&) { return json{{"verb", "ping"}}; }, settings_.call_timeout, stop)));
    const auto answers = ask_all(
        resource,
        [&](const GatewayAddress&) {
          json request{
              {"verb", "hold"}, {"resource", resource}, {"term", term}, {"next_epoch", next_epoch}, {"policy", policy}};
          if (abandon) request["abandon"] = true;
          return request;
        },
        policy.budget + settings_.call_timeout, stop);
    auto held = acks(answers);
    // A hold that is not everywhere is nowhere. The leases would lapse by themselves; clients need not wait for that.
    if (!held) (void)release(resource, term, next_epoch, {});
    return held;
  }

  Result<void> seal(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch,
                    const std::vector<GatewayAck>& acks, std::stop_token stop) override {
    for (const auto& gateway : settings_.gateways)
      if (std::none_of(acks.begin(), acks.end(), [&](const GatewayAck& a) { return a.gateway == gateway.name; }))
        return fail(Code::refused, fmt::format("gateway {} has not acknowledged the hold", gateway.name));
    return all(ask_all(
        resource,
        [&](const GatewayAddress& gateway) {
          const auto ack = std::find_if(acks.begin(), acks.end(), [&](const GatewayAck& a) { return a.gateway == gateway.name; });
          return json{{"verb", "seal"},
                      {"resource", resource},
                      {"term", term},
                      {"next_epoch", next_epoch},
                      {"incarnation", ack->incarnation}};
        },
        settings_.call_timeout, stop));
  }

  Result<void> release(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch, std::stop_token stop) override {
    return all(ask_all(
        resource,
        [&](const GatewayAddress&) {
          return json{{"verb", "release"}, {"resource", resource}, {"term", term}, {"next_epoch", next_epoch}};
        },
        settings_.call_timeout, stop));
  }

  Result<std::vector<GatewayReport>> report(const ResourceId& resource, std::stop_token stop) override {
    const auto answers = ask_all(
        resource, [&](const GatewayAddress&) { return json{{"verb", "report"}, {"resource", resource}}; },
        settings_.call_timeout, stop);
    std::vector<GatewayReport> reports;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i]) continue;
      if (is_ack_of_absent(*answers[i])) {
        GatewayReport absent;
        absent.gateway = settings_.gateways[i].name;
        absent.resource = resource;
        absent.incarnation = kOutOfPath;
        absent.hold = HoldState::sealed;
        reports.push_back(std::move(absent));
        continue;
      }
      FS_TRY(report, decode<GatewayReport>(*answers[i]));
      reports.push_back(std::move(report));
    }
    return reports;
  }

 private:
  using Answers = std::vector<Result<json>>;

  template <class MakeRequest>
  Answers ask_all(const ResourceId& resource, MakeRequest make_request, Millis timeout, std::stop_token stop) {
    Answers answers(settings_.gateways.size(), fail(Code::unreachable, "not asked"));
    const auto ask_one = [&](std::size_t i) {
      answers[i] = ask(settings_.gateways[i], resource, make_request(settings_.gateways[i]), timeout, stop);
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < settings_.gateways.size(); ++i) threads.emplace_back([&ask_one, i] { ask_one(i); });
    // The usual case has one gateway and needs no thread.
    if (!settings_.gateways.empty()) ask_one(0);
    threads.clear();
    return answers;
  }

  Result<json> ask(const GatewayAddress& gateway, const ResourceId& resource, const json& request, Millis timeout,
                   std::stop_token stop) const {
    auto answer = io::rpc_call(gateway.socket_path, request, timeout, stop);
    if (answer) return answer;
    // Unreachable and not merely late: one that does not answer in time may serve clients all the same.
    if (answer.error().code == Code::unreachable && settings_.is_out && settings_.is_out(gateway.name, resource))
      return json(GatewayAck{gateway.name, kOutOfPath});
    return fail(answer.error().code, fmt::format("gateway {}: {}", gateway.name, answer.error().what));
  }

  static bool is_ack_of_absent(const json& answer) {
    return !answer.contains("segments") && answer.value("incarnation", "") == kOutOfPath;
  }

  static Result<void> all(const Answers& answers) {
    if (answers.empty()) return fail(Code::invalid, "the resource lists no gateway");
    for (const auto& answer : answers)
      if (!answer) return tl::make_unexpected(answer.error());
    return {};
  }

  static Result<std::vector<GatewayAck>> acks(const Answers& answers) {
    FS_CHECK(all(answers));
    std::vector<GatewayAck> acks;
    for (const auto& answer : answers) {
      FS_TRY(ack, decode<GatewayAck>(*answer));
      acks.push_back(std::move(ack));
    }
    return acks;
  }

  const GatewaySteerSettings settings_;
};

}  // namespace

std::unique_ptr<Steer> make_gateway_steer(GatewaySteerSettings settings) {
  return std::make_unique<GatewaySteer>(std::move(settings));
}

}  // namespace foreshadow::act
