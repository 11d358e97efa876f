#include "foresee/forecast/segments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace foreshadow::foresee {
namespace {

constexpr std::size_t single_max = 48;
constexpr std::size_t groups_max = 32;
constexpr std::size_t piece_min = 3;

struct Sums {
  double n = 0, t = 0, tt = 0, y = 0, yy = 0, ty = 0;
};

double rest_of_line(const Sums& from, const Sums& to) {
  const double n = to.n - from.n;
  const double t = to.t - from.t, y = to.y - from.y;
  const double tt = to.tt - from.tt - t * t / n, yy = to.yy - from.yy - y * y / n, ty = to.ty - from.ty - t * y / n;
  return std::max(0.0, tt > 0 ? yy - ty * ty / tt : yy);
}

}  // namespace

Division divide(const Path& path, const Noise& noise, std::size_t samples_min, double span_min) {
  const auto n = path.size();
  Division division{.begins = {0}, .penalty = 4 * std::log(static_cast<double>(std::max<std::size_t>(n, 2)))};
  if (n <= samples_min) return division;
  std::vector<std::size_t> marks;
  const auto old = n > single_max ? n - single_max : 0;
  const auto groups = std::min(old, groups_max);
  for (std::size_t g = 0; g < groups; ++g) marks.push_back(g * old / groups);
  for (auto i = old; i <= n; ++i) marks.push_back(i);

  // In units that keep the sums well-conditioned: the whole span of time, and one deviation of the noise.
  const double width = path.t.back() - path.t.front();
  const double deviation = noise.sigma * std::sqrt(noise.inflation);
  std::vector<Sums> sums(n + 1);
  for (std::size_t i = 0; i < n; ++i) {
    const double t = width > 0 ? path.t[i] / width : 0, y = (path.y[i] - path.y.back()) / deviation;
    const auto& s = sums[i];
    sums[i + 1] = {s.n + 1, s.t + t, s.tt + t * t, s.y + y, s.yy + y * y, s.ty + t * y};
  }

  std::vector<double> best(marks.size(), std::numeric_limits<double>::infinity());
  std::vector<std::size_t> came_from(marks.size(), 0);
  best[0] = 0;
  for (std::size_t to = 1; to < marks.size(); ++to) {
    const bool last = marks[to] == n;
    for (std::size_t from = 0; from < to; ++from) {
      const auto points = marks[to] - marks[from];
      if (points < (last ? samples_min : piece_min)) break;
      if (last && from > 0 && path.t.back() - path.t[marks[from]] < span_min) break;
      const double cost = best[from] + rest_of_line(sums[marks[from]], sums[marks[to]]) + division.penalty;
      if (cost >= best[to]) continue;
      best[to] = cost;
      came_from[to] = from;
    }
  }
  division.begins.clear();
  for (auto at = marks.size() - 1; at > 0; at = came_from[at]) division.begins.push_back(marks[came_from[at]]);
  std::ranges::reverse(division.begins);
  return division;
}

}  // namespace foreshadow::foresee
