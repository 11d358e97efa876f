// A real gateway with one HTTP resource between a client and two services.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "domain/effect.hpp"
#include "domain/gateway_report.hpp"
#include "domain/policy.hpp"
#include "domain/route_table.hpp"
#include "kinds/http/net.hpp"
#include "proxy/gateway.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::kinds::http::testing {

using foreshadow::testing::eventually;

inline constexpr Millis kPatient{20'000};

struct Rig : ::testing::Test {
  foreshadow::testing::TempDir dir;
  Backend a{"a"};
  Backend b{"b"};
  proxy::GatewaySettings settings;
  std::unique_ptr<proxy::Gateway> gateway;
  std::uint16_t port = 0;
  std::uint64_t version = 0;

  Rig();
  // Nobody answers any more when what a fixture has of its own goes, to which answers may refer.
  void TearDown() override {
    gateway.reset();
    a.end();
    b.end();
  }
  proxy::ListenerSettings& listener() { return settings.listeners.front(); }
  void start();

  Stream connect() const;
  // One request on a connection of its own.
  std::optional<Message> ask(const std::string& request, bool bodyless = false) const;
  std::optional<Message> get(const std::string& target) const;

  static Instance instance(const Backend& backend);
  // The next version, in which segment `browse` has this weight and mirror share; `orders` likewise.
  RouteTable split(double weight, double mirror, double orders_weight = 0, double orders_mirror = 0);
  RouteTable handed_over(std::uint64_t epoch) const;
  void apply(const RouteTable& table);
  Result<GatewayAck> hold(std::uint64_t next_epoch,
                          HoldPolicy policy = {.lease = kPatient, .budget = kPatient, .park_max = kPatient});
  Result<void> seal(std::uint64_t next_epoch, const GatewayAck& ack);
  Result<void> release(std::uint64_t next_epoch);
  GatewayReport report() const;
  SegmentStats segment(const std::string& id) const;
};

}  // namespace foreshadow::kinds::http::testing
