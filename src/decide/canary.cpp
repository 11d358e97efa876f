#include "decide/canary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace foreshadow::decide {
namespace {

constexpr int nodes = 12;

// log of the mean of exp(x), without overflow.
double log_mean_exp(const std::array<double, nodes>& x) {
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double v : x) sum += std::exp(v - top);
  return top + std::log(sum / nodes);
}

double log_ratio(double hits, double misses, double alternative, double null) {
  return hits * std::log(alternative / null) + misses * std::log((1 - alternative) / (1 - null));
}

double clamp_rate(double rate) { return std::clamp(rate, 1e-6, 1 - 1e-6); }

}  // namespace

double log_evidence_above(std::uint64_t hits, std::uint64_t n, double rate_max) {
  const double null = clamp_rate(rate_max);
  std::array<double, nodes> ratio{};
  // Alternatives spread evenly in log-odds from just above the objective to certain failure: no rate is far from one.
  const double from = std::log(null / (1 - null)) + 0.25;
  const double to = std::max(from + 1, std::log(0.99 / 0.01));
  for (int i = 0; i < nodes; ++i) {
    const double odds = std::exp(from + (to - from) * i / (nodes - 1));
    ratio[static_cast<std::size_t>(i)] =
        log_ratio(static_cast<double>(hits), static_cast<double>(n - hits), clamp_rate(odds / (1 + odds)), null);
  }
  return log_mean_exp(ratio);
}

double log_evidence_below(std::uint64_t hits, std::uint64_t n, double rate_min) {
  const double null = clamp_rate(rate_min);
  std::array<double, nodes> ratio{};
  for (int i = 0; i < nodes; ++i) {
    const double alternative = clamp_rate(null * std::pow(0.6, i + 1));
    ratio[static_cast<std::size_t>(i)] =
        log_ratio(static_cast<double>(hits), static_cast<double>(n - hits), alternative, null);
  }
  return log_mean_exp(ratio);
}

Judgement judge(const Tally& tally, const CanaryPolicy& policy) {
  struct Rate {
    const char* name;
    std::uint64_t hits;
    double objective;
  };
  const std::array<Rate, 3> rates{{{"failed", tally.errors, policy.error_rate_max},
                                   {"slow", tally.slow, policy.slow_rate_max},
                                   {"differing", tally.mismatched, policy.mismatch_rate_max}}};
  const double bar = std::log(1 / policy.alpha);
  // Three tests share one error budget.
  const double bar_each = bar + std::log(static_cast<double>(rates.size()));
  bool all_proven_low = true;
  for (const auto& rate : rates) {
    const auto hits = std::min(rate.hits, tally.requests);
    if (log_evidence_above(hits, tally.requests, rate.objective) >= bar_each)
      return {Fitness::unfit, fmt::format("{} of {} {}: above the objective of {:.2g} (alpha {:.2g})", hits, tally.requests,
                                          rate.name, rate.objective, policy.alpha)};
    if (log_evidence_below(hits, tally.requests, 3 * rate.objective) < bar) all_proven_low = false;
  }
  const auto seen = fmt::format("{} requests, {} failed, {} slow, {} differing", tally.requests, tally.errors, tally.slow,
                                tally.mismatched);
  if (all_proven_low || tally.requests >= static_cast<std::uint64_t>(std::max(policy.requests_min, 1)))
    return {Fitness::fit, seen};
  return {Fitness::inconclusive, seen + fmt::format(", {} wanted", policy.requests_min)};
}

}  // namespace foreshadow::decide
