// What the loader counts, and the JSON that it prints of it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "common/latencies.hpp"

namespace foreshadow::bench {

class Tally {
 public:
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
  void took(std::int64_t ns) { latencies_.took(ns); }

  std::uint64_t failed() const { return failed_; }

  std::string json(double seconds) {
    std::string failures;
    for (const auto& [name, count] : failures_)
      failures += fmt::format("{}\"{}\":{}", failures.empty() ? "" : ",", name, count);
    return fmt::format("{{\"answered\":{},\"failed\":{},\"failures\":{{{}}},\"reconnects\":{},\"rps\":{:.1f},{}}}",
                       answered_, failed_, failures, reconnects_, static_cast<double>(answered_in_time_) / seconds,
                       latencies_.json_fields());
  }

 private:
  Latencies latencies_;
  std::map<std::string, std::uint64_t> failures_;
  std::uint64_t answered_ = 0, answered_in_time_ = 0, failed_ = 0, reconnects_ = 0;
};

}  // namespace foreshadow::bench
