// How long things took, and the quantiles of that, for the loaders of the benchmarks.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace foreshadow::bench {

class Latencies {
 public:
  Latencies() { ns_.reserve(1 << 20); }
  void took(std::int64_t ns) { ns_.push_back(ns); }

  // Fields of a JSON object, without its braces.
  std::string json_fields() {
    std::ranges::sort(ns_);
    return fmt::format("\"p50_ms\":{:.4f},\"p99_ms\":{:.4f},\"p999_ms\":{:.4f},\"max_ms\":{:.4f}", quantile_ms(0.5),
                       quantile_ms(0.99), quantile_ms(0.999), quantile_ms(1));
  }

 private:
  // They are sorted.
  double quantile_ms(double q) const {
    if (ns_.empty()) return 0;
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(ns_.size()));
    return static_cast<double>(ns_[std::min(rank, ns_.size() - 1)]) / 1e6;
  }

  std::vector<std::int64_t> ns_;
};

}  // namespace foreshadow::bench
