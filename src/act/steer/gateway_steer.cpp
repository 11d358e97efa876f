#include "act/steer/gateway_steer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

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
    return acks(ask_all([&](const GatewayAddress&) { return json{{"verb", "apply"}, {"table", table}}; },
                        settings_.call_timeout, stop));
  }

  Result<std::vector<GatewayAck>> hold(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch,
                                       const HoldPolicy& policy, std::stop_token stop) override {
    const auto answers = ask_all(
        [&](const GatewayAddress&) {
          return json{{"verb", "hold"}, {"resource", resource}, {"term", term}, {"next_epoch", next_epoch}, {"policy", policy}};
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
        [&](const GatewayAddress&) {
          return json{{"verb", "release"}, {"resource", resource}, {"term", term}, {"next_epoch", next_epoch}};
        },
        settings_.call_timeout, stop));
  }

  Result<std::vector<GatewayReport>> report(const ResourceId& resource, std::stop_token stop) override {
    const auto answers = ask_all([&](const GatewayAddress&) { return json{{"verb", "report"}, {"resource", resource}}; },
                                 settings_.call_timeout, stop);
    std::vector<GatewayReport> reports;
    for (const auto& answer : answers) {
      if (!answer) continue;
      FS_TRY(report, decode<GatewayReport>(*answer));
      reports.push_back(std::move(report));
    }
    return reports;
  }

 private:
  using Answers = std::vector<Result<json>>;

  template <class MakeRequest>
  Answers ask_all(MakeRequest make_request, Millis timeout, std::stop_token stop) {
    Answers answers(settings_.gateways.size(), fail(Code::unreachable, "not asked"));
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < settings_.gateways.size(); ++i)
      threads.emplace_back([&, i] { answers[i] = ask(settings_.gateways[i], make_request(settings_.gateways[i]), timeout, stop); });
    // The usual case has one gateway and needs no thread.
    if (!settings_.gateways.empty())
      answers[0] = ask(settings_.gateways[0], make_request(settings_.gateways[0]), timeout, stop);
    threads.clear();
    return answers;
  }

  static Result<json> ask(const GatewayAddress& gateway, const json& request, Millis timeout, std::stop_token stop) {
    auto answer = io::rpc_call(gateway.socket_path, request, timeout, stop);
    if (!answer) return fail(answer.error().code, fmt::format("gateway {}: {}", gateway.name, answer.error().what));
    return answer;
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
