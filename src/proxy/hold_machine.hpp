// The life of a hold: open -> holding -> held -> sealed, and back to open by release, lapse, or a table of a higher
// epoch. Pure: the time is an argument, nothing here waits, and the owner asks when to come back. It never opens a seal
// by itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "domain/gateway_report.hpp"
#include "domain/policy.hpp"

namespace foreshadow::proxy {

class HoldMachine {
 public:
  // Monotonic: a lease must not depend on anybody's wall clock.
  using Now = std::chrono::steady_clock::time_point;

  enum class Change {
    none,
    drained,      // holding -> held
    over_budget,  // holding -> open: work in flight did not end in time
    lapsed,       // holding or held -> open: nobody renewed or sealed
  };

  HoldState state() const { return state_; }
  // New work waits.
  bool parks() const { return state_ != HoldState::open; }
  // Even what only reads: a seal has lasted for longer than work may be parked in it, or was booted into. Until then
  // the old side is as good to read from as before the hold; from then on nobody can say.
  bool parks_reads(Now now) const { return state_ == HoldState::sealed && now >= reads_until_; }
  // The epoch that the hold or seal makes room for; meaningless when open.
  std::uint64_t next_epoch() const { return next_epoch_; }
  // How long new work may wait.
  Millis park_max() const { return park_max_; }
  Millis lease_left(Now now) const;

  // Begins a hold, or renews the lease of the one for the same epoch (a repeated command). A seal for the same epoch is
  // more than a hold, and stays. Errors: conflict (held or sealed for another epoch), invalid (a policy without time).
  Result<void> begin(std::uint64_t next_epoch, const HoldPolicy& policy, Now now);
  // Call when work ended, and at wake_at(). `in_flight`: of the work that the hold parks.
  Change advance(Now now, int in_flight);
  std::optional<Now> wake_at() const;

  // Errors: refused (nothing held, not drained, or the lease has lapsed), conflict (held for another epoch).
  // The same seal again is a success.
  Result<void> seal(std::uint64_t next_epoch, Now now);
  // The seal could not be made durable: held again as if it had not been asked for. The lease went on meanwhile.
  void unseal();
  // Errors: conflict (held or sealed for another epoch). Success when open: the release was repeated, or the lease
  // lapsed.
  Result<void> release(std::uint64_t next_epoch);
  // A table of a higher epoch is in force.
  void open();
  // A gateway boots into its seal.
  void boot_sealed(std::uint64_t next_epoch, Millis park_max);

 private:
  HoldState state_ = HoldState::open;
  std::uint64_t next_epoch_ = 0;
  Now lease_until_{};
  Now budget_until_{};
  Now reads_until_{};  // of a seal
  Millis park_max_{0};
};

}  // namespace foreshadow::proxy
