// What the loader counts, and the JSON that it prints of it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace foreshadow::bench {

class Tally {
 public:
  Tally() { latencies_ns_.reserve(1 << 20); }

  // An answer that came within the time of the load, or in the grace after it.
  void answered(bool in_time) {
    ++answered_;
    answered_in_time_ += in_time ? 1 : 0;
  }
  // `why` needs no escapes in JSON.
  void failed(std::string why) {
    ++failed_;
    ++failures_[std::move(why)];
  }
  // Somebody else ended an idle connection, which fails nobody.
  void reconnected() { ++reconnects_; }
  // Of whatever was asked, answered or not.
  void took(std::int64_t ns) { latencies_ns_.push_back(ns); }

  std::uint64_t failed() const { return failed_; }

  std::string json(double seconds) {
    std::ranges::sort(latencies_ns_);
    std::string failures;
    for (const auto& [name, count] : failures_)
      failures += fmt::format("{}\"{}\":{}", failures.empty() ? "" : ",", name, count);
    return fmt::format(
        "{{\"answered\":{},\"failed\":{},\"failures\":{{{}}},\"reconnects\":{},\"rps\":{:.1f},\"p50_ms\":{:.4f},"
        "\"p99_ms\":{:.4f},\"p999_ms\":{:.4f},\"max_ms\":{:.4f}}}",
        answered_, failed_, failures, reconnects_, static_cast<double>(answered_in_time_) / seconds, quantile_ms(0.5),
        quantile_ms(0.99), quantile_ms(0.999), quantile_ms(1));
  }

 private:
  // The latencies are sorted.
  double quantile_ms(double q) const {
    if (latencies_ns_.empty()) return 0;
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(latencies_ns_.size()));
    return static_cast<double>(latencies_ns_[std::min(rank, latencies_ns_.size() - 1)]) / 1e6;
  }

  std::vector<std::int64_t> latencies_ns_;
  std::map<std::string, std::uint64_t> failures_;
  std::uint64_t answered_ = 0, answered_in_time_ = 0, failed_ = 0, reconnects_ = 0;
};

}  // namespace foreshadow::bench
