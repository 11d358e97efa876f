// What a controller may ask of a gateway, as JSON over the control socket:
//   {"verb":"apply","table":RouteTable}                                      -> GatewayAck
//   {"verb":"hold","resource","term","next_epoch","policy":HoldPolicy}       -> GatewayAck, once nothing is in flight
//   {"verb":"seal","resource","term","next_epoch","incarnation"}             -> GatewayAck
//   {"verb":"release","resource","term","next_epoch"}                        -> GatewayAck
//   {"verb":"report","resource"}                                             -> GatewayReport
//   {"verb":"differences","resource"}                                        -> the kind's own fields, see Protocol
//   {"verb":"ping"}                                                          -> GatewayAck
// Whatever must survive a crash is on disk before the answer is given.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>

#include "domain/effect.hpp"
#include "proxy/gate_group.hpp"
#include "proxy/gate_store.hpp"

namespace foreshadow::proxy {

// Thread-safe: called on the control socket's threads, hops to those of the gates to touch one. They must be running
// while a call is.
class Commands {
 public:
  using Gates = std::map<ResourceId, GateGroup>;
  // `unfinished`: says why a hold cannot mean that nothing is in flight: the process before this one still has
  // sessions.
  using Unfinished = std::function<Result<void>()>;
  Commands(Gates gates, GateStore store, GatewayAck self, Unfinished unfinished);
  Result<nlohmann::json> handle(const nlohmann::json& request);
  // From its success on every order is refused: another process takes them. Error: refused, while a gate holds or is
  // sealed, because a hold does not survive the process that granted its lease.
  Result<void> retire();

 private:
  Result<void> in_charge() const;
  Result<GateGroup*> find(const ResourceId& resource);
  Result<void> apply(const nlohmann::json& request);
  Result<void> hold(const nlohmann::json& request);
  Result<void> seal(const nlohmann::json& request);
  Result<void> release(const nlohmann::json& request);
  Result<GatewayReport> report(const nlohmann::json& request);
  Result<nlohmann::json> differences(const nlohmann::json& request);

  Gates gates_;
  GatewayAck self_;
  // From a command's check until it is durable and in force: two commands must not interleave there. Never held while
  // a hold drains, so that a release gets through.
  std::mutex one_at_a_time_;
  GateStore store_;
  Unfinished unfinished_;
  bool retired_ = false;  // guarded by one_at_a_time_
};

}  // namespace foreshadow::proxy
