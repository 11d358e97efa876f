// A real gateway with one resource of plain streams between clients and two instances.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "domain/effect.hpp"
#include "domain/gateway_report.hpp"
#include "domain/policy.hpp"
#include "domain/route_table.hpp"
#include "kinds/tcp/net.hpp"
#include "proxy/gateway.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::kinds::tcp::testing {

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
  ~Rig() override { gateway.reset(); }
  proxy::ListenerSettings& listener() { return settings.listeners.front(); }
  void start();

  Stream connect() const;
  // Connects and reads which instance answered; nothing was said yet by the client.
  std::pair<Stream, std::string> greeted() const;

  static Instance instance(const Backend& backend);
  // The next version, in which b has this weight; without `b_known` the table names only a.
  RouteTable split(double weight, bool b_known = true);
  RouteTable handed_over(std::uint64_t epoch) const;
  void apply(const RouteTable& table);
  Result<GatewayAck> hold(std::uint64_t next_epoch,
                          HoldPolicy policy = {.lease = kPatient, .budget = kPatient, .park_max = kPatient});
  Result<void> seal(std::uint64_t next_epoch, const GatewayAck& ack);
  Result<void> release(std::uint64_t next_epoch);
  GatewayReport report() const;
};

}  // namespace foreshadow::kinds::tcp::testing
