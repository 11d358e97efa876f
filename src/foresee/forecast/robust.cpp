#include "foresee/forecast/robust.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace foreshadow::foresee {
namespace {

constexpr std::size_t points_max = 24;

double select_median(double* begin, std::size_t n) {
  if (n == 0) return 0;
  double* middle = begin + n / 2;
  std::nth_element(begin, middle, begin + n);
  if (n % 2 == 1) return *middle;
  return (*middle + *std::max_element(begin, middle)) / 2;
}

}  // namespace

double median(std::vector<double> values) { return select_median(values.data(), values.size()); }

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), at, values.end());
  if (below + 1 >= values.size()) return *at;
  const double next = *std::min_element(at + 1, values.end());
  return *at + (rank - static_cast<double>(below)) * (next - *at);
}

double spread(std::vector<double> values) {
  if (values.size() < 2) return 0;
  const double middle = select_median(values.data(), values.size());
  double sum = 0;
  for (auto& v : values) {
    v = std::abs(v - middle);
    sum += v;
  }
  const double mad = 1.4826 * select_median(values.data(), values.size());
  if (mad > 0) return mad;
  return 1.2533 * sum / static_cast<double>(values.size());
}

Line theil_sen(std::span<const double> t, std::span<const double> y) {
  const auto n = t.size();
  if (n == 0) return {};
  std::array<double, points_max> gt{}, gy{};
  const auto groups = std::min(n, points_max);
  std::vector<double> group;
  for (std::size_t g = 0; g < groups; ++g) {
    const auto from = g * n / groups, to = (g + 1) * n / groups;
    double sum = 0;
    group.clear();
    for (auto i = from; i < to; ++i) {
      sum += t[i];
      group.push_back(y[i]);
    }
    gt[g] = sum / static_cast<double>(to - from);
    gy[g] = select_median(group.data(), group.size());
  }
  std::array<double, points_max*(points_max - 1) / 2> slopes{};
  std::size_t pairs = 0;
  for (std::size_t i = 0; i < groups; ++i)
    for (auto j = i + 1; j < groups; ++j)
      if (gt[j] > gt[i]) slopes[pairs++] = (gy[j] - gy[i]) / (gt[j] - gt[i]);
  Line line;
  line.slope = select_median(slopes.data(), pairs);
  for (std::size_t g = 0; g < groups; ++g) gy[g] -= line.slope * gt[g];
  line.level = select_median(gy.data(), groups);
  return line;
}

}  // namespace foreshadow::foresee
