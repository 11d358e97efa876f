#include "foresee/risk/first_passage.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace foreshadow::foresee {

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double log_normal_cdf(double x) {
  if (x > -30) return std::log(normal_cdf(x));
  // Asymptotic series of Mills' ratio; erfc underflows from about -38 on.
  const double inverse = 1 / (x * x);
  return -0.5 * x * x - std::log(-x) - 0.5 * std::log(2 * std::numbers::pi) + std::log1p(inverse * (-1 + 3 * inverse));
}

double crossing_probability(double barrier, double drift, double variance) {
  if (!(barrier > 0)) return 1;
  if (!(variance > 0)) return drift >= barrier ? 1 : 0;
  const double s = std::sqrt(variance);
  const double direct = normal_cdf((drift - barrier) / s);
  // The product of a huge and a tiny number, so in logarithms.
  const double reflected = 2 * drift * barrier / variance + log_normal_cdf(-(barrier + drift) / s);
  return std::clamp(direct + std::exp(std::min(0.0, reflected)), 0.0, 1.0);
}

const std::array<Node, nodes>& normal_nodes() {
  static const auto table = [] {
    std::array<Node, nodes> t{};
    double sum = 0;
    for (std::size_t i = 0; i < nodes; ++i) {
      t[i].z = -3 + 6 * static_cast<double>(i) / (nodes - 1);
      t[i].weight = std::exp(-t[i].z * t[i].z / 2);
      sum += t[i].weight;
    }
    for (auto& node : t) node.weight /= sum;
    return t;
  }();
  return table;
}

}  // namespace foreshadow::foresee
