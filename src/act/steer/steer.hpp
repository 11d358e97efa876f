// The port to whatever directs clients: our gateway first, others later. Drivers declare what they can do.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/effect.hpp"
#include "domain/gateway_report.hpp"
#include "domain/route_table.hpp"

namespace foreshadow::act {

struct SteerTraits {
  bool weights = false;
  bool mirror = false;
  bool hold = false;
  bool seal = false;
  bool acknowledged = false;  // apply returns only once the table is in force
};

// Blocking; thread-safe. All calls address every gateway of the resource; one that does not answer fails the call.
class Steer {
 public:
  virtual ~Steer() = default;
  virtual SteerTraits traits() const = 0;
  // In force on every gateway when it returns. The same version again is a success. conflict: a gateway has a higher
  // version, epoch or term.
  virtual Result<std::vector<GatewayAck>> apply(const RouteTable& table, std::stop_token stop) = 0;
  // Parks new work everywhere, returns once nothing is in flight anywhere; over budget releases all and returns timeout.
  // With `abandon` it returns at once: what is in flight at a dead side ends when that is fenced.
  virtual Result<std::vector<GatewayAck>> hold(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch,
                                               const HoldPolicy& policy, bool abandon, std::stop_token stop) = 0;
  // Durable on every gateway when it returns. refused: a lease has lapsed; conflict: an incarnation changed.
  virtual Result<void> seal(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch,
                            const std::vector<GatewayAck>& acks, std::stop_token stop) = 0;
  // Back to the current side, hold or seal given up. Only for a journaled abort.
  virtual Result<void> release(const ResourceId& resource, std::uint64_t term, std::uint64_t next_epoch,
                               std::stop_token stop) = 0;
  // One report per gateway that answered.
  virtual Result<std::vector<GatewayReport>> report(const ResourceId& resource, std::stop_token stop) = 0;
};

}  // namespace foreshadow::act
