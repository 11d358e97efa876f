// The probability that a wandering path with a drift touches a barrier before a time, exactly: Brownian motion with
// constant drift (Karatzas and Shreve, Brownian Motion and Stochastic Calculus, 3.5.C; the inverse Gaussian law).
//   P = Phi((m - b) / s) + exp(2 m b / s^2) Phi(-(b + m) / s)   with m the drift and s the deviation over the whole
//   time.
#pragma once

#include <array>
#include <cstddef>

namespace foreshadow::foresee {

// Standard normal distribution function and its logarithm, exact far into the tail.
double normal_cdf(double x);
double log_normal_cdf(double x);

// `barrier` above the start, `drift` and `variance` accumulated over the time asked for. Safe at every extreme: no
// variance gives 0 or 1, a barrier at or below the start gives 1. Never decreases with drift or variance/time.
double crossing_probability(double barrier, double drift, double variance);

// Nodes and weights that integrate over a standard normal variable: an even grid from -3 to 3. Gauss-Hermite would need
// fewer for smooth functions, but with little wandering a crossing is a step in the drift, and then an even grid errs
// less.
struct Node {
  double z;
  double weight;
};
inline constexpr std::size_t nodes = 25;
const std::array<Node, nodes>& normal_nodes();

}  // namespace foreshadow::foresee
