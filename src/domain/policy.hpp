// What the operator allows, per resource. Travels as an event, so that a replay sees the policy that was in force.
#pragma once

#include <string>

#include "base/time.hpp"

namespace foreshadow {

// observe: watch and say. advise: also say what it would do now and wait for approval. act: do it.
enum class Autonomy { observe, advise, act };

// Crossed when the score within `horizon` reaches `threshold`; left again below `threshold - hysteresis`.
struct ThresholdRule {
  double threshold = 0.5;
  Millis horizon{std::chrono::minutes{15}};
  friend bool operator==(const ThresholdRule&, const ThresholdRule&) = default;
};

struct CanaryPolicy {
  double error_rate_max = 0.01;      // objective: share of failed requests
  Millis slow_after{500};            // a request slower than this is slow
  double slow_rate_max = 0.05;       // objective: share of slow requests
  double mismatch_rate_max = 0.02;   // share of mirrored answers that differ in status class
  double alpha = 0.01;               // false-alarm bound, valid at every look
  int requests_min = 50;             // evidence before a step, per segment
  friend bool operator==(const CanaryPolicy&, const CanaryPolicy&) = default;
};

struct HoldPolicy {
  Millis lease{3000};      // lapse releases to the current side
  Millis budget{300};      // work in flight must end within this, else release and retry later
  Millis park_max{5000};   // parked work waits at most this long, then gets an honest error
  int attempts_max = 5;
  Millis retry_after{1000};
  friend bool operator==(const HoldPolicy&, const HoldPolicy&) = default;
};

struct BudgetPolicy {
  int provisions_per_day = 6;
  int handovers_per_day = 4;
  Millis cooldown{std::chrono::minutes{10}};  // after an outcome or a failed attempt, per resource
  friend bool operator==(const BudgetPolicy&, const BudgetPolicy&) = default;
};

// When the primary of a kind that fences dies unpredicted, with a shadow that follows it.
struct FailoverPolicy {
  bool enabled = false;  // by itself, where autonomy is `act`; a person may ask for it whatever this says
  Millis restart_grace{2000};        // its own supervisor may bring it back within this
  std::uint64_t loss_max_bytes = 0;  // of log with commits that the shadow lacks and that cannot be had from the old disk
  friend bool operator==(const FailoverPolicy&, const FailoverPolicy&) = default;
};

enum class Retirement { standby, rebuild, keep };

struct ThresholdBounds {
  double shadowing_min = 0.2, shadowing_max = 0.8;
  double critical_min = 0.5, critical_max = 0.95;
  friend bool operator==(const ThresholdBounds&, const ThresholdBounds&) = default;
};

struct Policy {
  Autonomy autonomy = Autonomy::observe;
  // A person must approve the handover (and, with `advise`, the shadowing) before it starts.
  bool approval_required = false;
  // Off: shadow and mirror, but never hand over by itself.
  bool handover_enabled = true;
  ThresholdRule shadowing{0.5, std::chrono::minutes{15}};
  ThresholdRule critical{0.8, std::chrono::minutes{5}};
  double hysteresis = 0.15;
  Millis recede_after{std::chrono::minutes{5}};  // calm for this long: the shadow is given back
  // Most of a segment that moves before the handover: the rest stays, so that both sides can still be compared.
  double shift_max = 0.5;
  double mirror_fraction = 1.0;
  double reverse_mirror_fraction = 1.0;
  CanaryPolicy canary;
  HoldPolicy hold;
  FailoverPolicy failover;
  BudgetPolicy budget;
  ThresholdBounds bounds;
  Millis provision_timeout{std::chrono::minutes{10}};
  Millis replicate_timeout{std::chrono::minutes{30}};
  Millis counterfactual_max{std::chrono::minutes{30}};  // at most three critical horizons is usual
  double load_ratio_min = 0.9;                          // below: the outcome is censored
  Retirement retirement = Retirement::standby;
  // Crossing an objective in more failure domains than this share freezes all planned action.
  double freeze_share = 0.5;
  friend bool operator==(const Policy&, const Policy&) = default;
};

}  // namespace foreshadow
