#include "proxy/hold_machine.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"

namespace foreshadow::proxy {

Millis HoldMachine::lease_left(Now now) const {
  if (state_ != HoldState::holding && state_ != HoldState::held) return Millis{0};
  return std::max(Millis{0}, std::chrono::duration_cast<Millis>(lease_until_ - now));
}

Result<void> HoldMachine::begin(std::uint64_t next_epoch, const HoldPolicy& policy, Now now) {
  if (policy.lease <= Millis{0} || policy.budget <= Millis{0} || policy.park_max <= Millis{0})
    return fail(Code::invalid, "a hold needs a lease, a budget and a park_max above zero");
  if (state_ != HoldState::open && next_epoch != next_epoch_)
    return fail(Code::conflict, fmt::format("held for epoch {}, not {}: release it first", next_epoch_, next_epoch));
  if (state_ == HoldState::sealed) return {};
  if (state_ == HoldState::open) state_ = HoldState::holding;
  next_epoch_ = next_epoch;
  lease_until_ = now + policy.lease;
  budget_until_ = now + policy.budget;
  park_max_ = policy.park_max;
  return {};
}

HoldMachine::Change HoldMachine::advance(Now now, int in_flight) {
  if (state_ != HoldState::holding && state_ != HoldState::held) return Change::none;
  if (now >= lease_until_) {
    open();
    return Change::lapsed;
  }
  if (state_ == HoldState::held) return Change::none;
  if (in_flight == 0) {
    state_ = HoldState::held;
    return Change::drained;
  }
  if (now < budget_until_) return Change::none;
  open();
  return Change::over_budget;
}

std::optional<HoldMachine::Now> HoldMachine::wake_at() const {
  if (state_ == HoldState::holding) return std::min(budget_until_, lease_until_);
  if (state_ == HoldState::held) return lease_until_;
  return std::nullopt;
}

Result<void> HoldMachine::seal(std::uint64_t next_epoch, Now now) {
  if (state_ != HoldState::open && next_epoch != next_epoch_)
    return fail(Code::conflict, fmt::format("held for epoch {}, not {}", next_epoch_, next_epoch));
  switch (state_) {
    case HoldState::sealed:
      return {};
    case HoldState::open:
      return fail(Code::refused, "nothing is held: the lease has lapsed, or the hold was released");
    case HoldState::holding:
      return fail(Code::refused, "not held yet: work is still in flight");
    case HoldState::held:
      // The lapse may not have been acted on yet; what counts is the clock.
      if (now >= lease_until_) return fail(Code::refused, "the lease has lapsed");
      state_ = HoldState::sealed;
      reads_until_ = now + park_max_;
      return {};
  }
  return fail(Code::invalid, "unknown hold state");
}

void HoldMachine::unseal() {
  FS_ASSERT(state_ == HoldState::sealed);
  state_ = HoldState::held;
}

Result<void> HoldMachine::release(std::uint64_t next_epoch) {
  if (state_ != HoldState::open && next_epoch != next_epoch_)
    return fail(Code::conflict, fmt::format("held for epoch {}, not {}", next_epoch_, next_epoch));
  open();
  return {};
}

void HoldMachine::open() { state_ = HoldState::open; }

void HoldMachine::boot_sealed(std::uint64_t next_epoch, Millis park_max) {
  state_ = HoldState::sealed;
  next_epoch_ = next_epoch;
  park_max_ = park_max;
  reads_until_ = Now::min();
}

}  // namespace foreshadow::proxy
