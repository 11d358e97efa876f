#include "config/read_policy.hpp"

#include <fmt/format.h>

#include "base/units.hpp"

namespace foreshadow::config {
namespace {

void read_threshold(Fields& parent, const std::string& key, ThresholdRule& rule) {
  parent.map(key, [&](Fields& f) {
    f.fraction("threshold", rule.threshold);
    f.duration("horizon", rule.horizon);
    if (rule.threshold <= 0) f.problem("threshold", "threshold: 0 is crossed always; write more than 0");
  });
}

void check_bounds(Fields& f, const ThresholdBounds& bounds) {
  const auto ordered = [&](const char* low_key, double low, const char* high_key, double high) {
    if (low > high)
      f.problem(low_key, fmt::format("{}: {:g} is above {} {:g}; lower it", low_key, low, high_key, high));
  };
  ordered("shadowing_min", bounds.shadowing_min, "shadowing_max", bounds.shadowing_max);
  ordered("critical_min", bounds.critical_min, "critical_max", bounds.critical_max);
}

void check_thresholds(Fields& f, const Policy& policy) {
  const auto inside = [&](const char* key, double threshold, double low, double high) {
    if (threshold < low || threshold > high)
      f.problem(
          key, fmt::format("{}: threshold {:g} is outside its bounds {:g} to {:g}; move it, or write other bounds", key,
                           threshold, low, high));
  };
  inside("shadowing", policy.shadowing.threshold, policy.bounds.shadowing_min, policy.bounds.shadowing_max);
  inside("critical", policy.critical.threshold, policy.bounds.critical_min, policy.bounds.critical_max);
  if (policy.critical.threshold < policy.shadowing.threshold)
    f.problem(
        "critical",
        fmt::format(
            "critical: threshold {:g} is below shadowing's {:g}, so a handover would come before its shadow; raise it",
            policy.critical.threshold, policy.shadowing.threshold));
  if (policy.critical.horizon > policy.shadowing.horizon)
    f.problem("critical",
              fmt::format("critical: horizon {} is longer than shadowing's {}, so a handover would come before its "
                          "shadow; shorten it",
                          format_duration(policy.critical.horizon), format_duration(policy.shadowing.horizon)));
  if (policy.hysteresis >= policy.shadowing.threshold)
    f.problem(
        "hysteresis",
        fmt::format(
            "hysteresis: {:g} is not below the shadowing threshold {:g}, which then could never be left; lower it",
            policy.hysteresis, policy.shadowing.threshold));
}

}  // namespace

void read_policy(Fields& f, Policy& policy) {
  f.one_of<Autonomy>("autonomy", policy.autonomy,
                     {{"observe", Autonomy::observe}, {"advise", Autonomy::advise}, {"act", Autonomy::act}});
  f.boolean("approval_required", policy.approval_required);
  f.boolean("handover_enabled", policy.handover_enabled);
  read_threshold(f, "shadowing", policy.shadowing);
  read_threshold(f, "critical", policy.critical);
  f.fraction("hysteresis", policy.hysteresis);
  f.duration("recede_after", policy.recede_after);
  f.fraction("shift_max", policy.shift_max);
  f.fraction("mirror_fraction", policy.mirror_fraction);
  f.fraction("reverse_mirror_fraction", policy.reverse_mirror_fraction);
  f.map("canary", [&](Fields& c) {
    auto& canary = policy.canary;
    c.fraction("error_rate_max", canary.error_rate_max);
    c.duration("slow_after", canary.slow_after);
    c.fraction("slow_rate_max", canary.slow_rate_max);
    c.fraction("mismatch_rate_max", canary.mismatch_rate_max);
    c.fraction("alpha", canary.alpha);
    c.integer("requests_min", canary.requests_min, 1, 1'000'000);
    if (canary.alpha <= 0 || canary.alpha >= 0.5)
      c.problem("alpha",
                fmt::format("alpha: {:g} is no false-alarm bound; write more than 0 and less than 0.5", canary.alpha));
  });
  f.map("hold", [&](Fields& h) {
    auto& hold = policy.hold;
    h.duration("lease", hold.lease, Millis{100});
    h.duration("budget", hold.budget);
    h.duration("park_max", hold.park_max);
    h.integer("attempts_max", hold.attempts_max, 1, 1'000);
    h.duration("retry_after", hold.retry_after);
    if (!h.sound()) return;
    if (hold.budget >= hold.lease)
      h.problem("budget", fmt::format("budget: {} is not below the lease {}, which would lapse first; shorten it",
                                      format_duration(hold.budget), format_duration(hold.lease)));
    if (hold.park_max < hold.budget)
      h.problem(
          "park_max",
          fmt::format(
              "park_max: {} is below the budget {}, so parked clients would get errors in every handover; raise it",
              format_duration(hold.park_max), format_duration(hold.budget)));
  });
  f.map("failover", [&](Fields& o) {
    auto& failover = policy.failover;
    o.boolean("enabled", failover.enabled);
    o.duration("restart_grace", failover.restart_grace, Millis{0});
    std::size_t loss = failover.loss_max_bytes;
    o.bytes("loss_max_bytes", loss, 0, std::size_t{1} << 40);
    failover.loss_max_bytes = loss;
  });
  f.map("budget", [&](Fields& b) {
    b.integer("provisions_per_day", policy.budget.provisions_per_day, 0, 10'000);
    b.integer("handovers_per_day", policy.budget.handovers_per_day, 0, 10'000);
    b.duration("cooldown", policy.budget.cooldown, Millis{0});
  });
  f.map("bounds", [&](Fields& b) {
    b.fraction("shadowing_min", policy.bounds.shadowing_min);
    b.fraction("shadowing_max", policy.bounds.shadowing_max);
    b.fraction("critical_min", policy.bounds.critical_min);
    b.fraction("critical_max", policy.bounds.critical_max);
    if (b.sound()) check_bounds(b, policy.bounds);
  });
  f.duration("provision_timeout", policy.provision_timeout);
  f.duration("replicate_timeout", policy.replicate_timeout);
  f.duration("counterfactual_max", policy.counterfactual_max);
  f.fraction("load_ratio_min", policy.load_ratio_min);
  f.one_of<Retirement>(
      "retirement", policy.retirement,
      {{"standby", Retirement::standby}, {"rebuild", Retirement::rebuild}, {"keep", Retirement::keep}});
  f.fraction("freeze_share", policy.freeze_share);
  if (f.sound()) check_thresholds(f, policy);
}

}  // namespace foreshadow::config
