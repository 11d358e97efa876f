#include "api/expected_drain.hpp"

#include <algorithm>
#include <cmath>

namespace foreshadow::api {
namespace {

double middle_us(int bucket) {
  const double lower = bucket == 0 ? 0 : Histogram::upper_us(bucket - 1);
  return (lower + Histogram::upper_us(bucket)) / 2;
}

// P(what is left of one piece in flight > t).
double left_beyond(const Histogram& lengths, double t_us) {
  double beyond = 0, all = 0;
  for (int b = 0; b < Histogram::buckets; ++b) {
    const auto count = static_cast<double>(lengths.at(b));
    all += count * middle_us(b);
    beyond += count * std::max(0.0, middle_us(b) - t_us);
  }
  return all > 0 ? beyond / all : 0;
}

}  // namespace

std::optional<ExpectedDrain> expected_drain(const std::vector<GatewayReport>& reports, Millis budget) {
  Histogram lengths;
  ExpectedDrain out;
  for (const auto& report : reports) {
    out.in_flight += report.in_flight;
    if (report.work_lengths)
      lengths.merge(*report.work_lengths);
    else
      for (const auto& segment : report.segments) lengths.merge(segment.current.latency);
  }
  out.seen = lengths.total();
  if (out.seen == 0) return std::nullopt;
  const int pieces = std::max(out.in_flight, 1);
  const auto drained_within = [&](double us) { return std::pow(1 - left_beyond(lengths, us), pieces); };
  out.in_time = drained_within(static_cast<double>(budget.count()) * 1000);
  const auto quantile_ms = [&](double q) {
    // Buckets are sorted, and so is what they give.
    int low = 0, high = Histogram::buckets - 1;
    while (low < high) {
      const int b = (low + high) / 2;
      if (drained_within(Histogram::upper_us(b)) >= q)
        high = b;
      else
        low = b + 1;
    }
    return Histogram::upper_us(low) / 1000;
  };
  out.p50_ms = quantile_ms(0.5);
  out.p99_ms = quantile_ms(0.99);
  return out;
}

}  // namespace foreshadow::api
