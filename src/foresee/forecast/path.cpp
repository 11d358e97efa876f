#include "foresee/forecast/path.hpp"

#include <algorithm>

#include "foresee/forecast/robust.hpp"

namespace foreshadow::foresee {
namespace {
constexpr std::size_t newest_kept = 160;
constexpr std::size_t groups_max = 80;
}  // namespace

Path make_path(std::span<const Sample> samples, Time now, double turn) {
  Path path;
  const auto old = samples.size() > newest_kept ? samples.size() - newest_kept : 0;
  const auto groups = std::min(old, groups_max);
  std::vector<double> group;
  for (std::size_t g = 0; g < groups; ++g) {
    const auto from = g * old / groups, to = (g + 1) * old / groups;
    group.clear();
    double sum = 0;
    for (auto i = from; i < to; ++i) {
      group.push_back(turn * samples[i].value);
      sum += to_seconds(samples[i].at - now);
    }
    path.t.push_back(sum / static_cast<double>(to - from));
    path.y.push_back(median(group));
  }
  for (auto i = old; i < samples.size(); ++i) {
    path.t.push_back(to_seconds(samples[i].at - now));
    path.y.push_back(turn * samples[i].value);
  }
  std::vector<double> steps;
  for (auto i = old + 1; i < samples.size(); ++i) steps.push_back(to_seconds(samples[i].at - samples[i - 1].at));
  path.step = median(steps);
  return path;
}

std::vector<double> running_median(const std::vector<double>& y, std::size_t width) {
  const auto n = y.size();
  if (n < 3 || width < 3) return y;
  std::vector<double> smooth(n);
  const auto half = width / 2;
  for (std::size_t i = 0; i < n; ++i) {
    const auto reach = std::min({half, i, n - 1 - i});
    smooth[i] = median(
        {y.begin() + static_cast<std::ptrdiff_t>(i - reach), y.begin() + static_cast<std::ptrdiff_t>(i + reach + 1)});
  }
  // The end points are held to the line through their neighbours (Tukey 1977), or a last spike would stay.
  smooth[0] = median({y[0], smooth[1], 3 * smooth[1] - 2 * smooth[2]});
  smooth[n - 1] = median({y[n - 1], smooth[n - 2], 3 * smooth[n - 2] - 2 * smooth[n - 3]});
  return smooth;
}

}  // namespace foreshadow::foresee
